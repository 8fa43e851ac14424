"""The disk for photos is full, now and then, while packages are delivered: no step without its photo, no photo lost.

A limit on the size of files stands for the disk: to the process that writes, both are an error in the midst of a file.
"""

import asyncio
import resource
import time

import grpc
from holdfast.delivery.v1 import evidence_pb2
from holdfast.delivery.v1 import package_pb2 as pb

from chaos.campaign import Campaign, Trial
from chaos.packages import STUCK_SECONDS
from devtools.journey import STEPS, Step, photo
from tests.support.services import running_pair
from tests.support.town import Town

COURIERS = 4
UNITS = 1_000_000
ROOM_BYTES = 400
"""Less than a photo has."""
FULL_SECONDS = 0.5


async def run(trial: Trial) -> None:
    """Whoever is told that there is no room comes again; in the end every photo is there, byte by byte."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        await town.found()
        couriers = _Couriers(trial, town, await town.stock(UNITS))
        unlimited = resource.prlimit(pair.delivery.pid, resource.RLIMIT_FSIZE)
        async with asyncio.TaskGroup() as at_once:
            for _ in range(COURIERS):
                at_once.create_task(couriers.work())
            while trial.more:
                await asyncio.sleep(FULL_SECONDS)
                resource.prlimit(pair.delivery.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, unlimited[1]))
                await asyncio.sleep(FULL_SECONDS)
                resource.prlimit(pair.delivery.pid, resource.RLIMIT_FSIZE, unlimited)
                trial.faults["full disks"] += 1
                trial.attempted()
            couriers.over = True
        await couriers.check()
        trial.violations.extend(await town.findings())
        await town.close()


class _Couriers:
    """They make packages and deliver them, and keep the photos that they took."""

    def __init__(self, trial: Trial, town: Town, sku: str) -> None:
        self.over = False
        self._trial = trial
        self._town = town
        self._sku = sku
        self._delivered: list[str] = []

    async def work(self) -> None:
        """Package after package, until it is over."""
        while not self.over:
            package = await self._town.package_of(pb.WORKFLOW_MERCHANT_TO_USER, {self._sku: 1})
            await self._town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)
            for step in STEPS[package.workflow]:
                await self._take(package.package_sn, step)
            self._delivered.append(package.package_sn)

    async def check(self) -> None:
        """Every photo of a delivered package can be had, as it was taken."""
        self._trial.contention["packages delivered"] = len(self._delivered)
        for package_sn in self._delivered:
            request = evidence_pb2.ListEvidenceRequest(package_sn=package_sn, page_size=100)
            listed = (await self._town.delivery.ListEvidence(request, timeout=10)).evidence
            kinds = [step.photo for step in STEPS[pb.WORKFLOW_MERCHANT_TO_USER] if step.photo]
            found = sorted(each.kind for each in listed if each.used)
            self._trial.require(found == sorted(kinds), f"{package_sn} has photos of {found}")
            for each in listed:
                self._trial.require(
                    await self._bytes(each.evidence_id) == photo(f"{package_sn}:{each.kind}"),
                    f"{package_sn}: the photo {each.evidence_id} is another",
                )

    async def _take(self, package_sn: str, step: Step) -> None:
        """Takes the step once there is room. Raises what else it is told, or that there is none for a minute."""
        until = time.monotonic() + STUCK_SECONDS
        while True:
            try:
                await self._town.take(package_sn, step)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or time.monotonic() > until:
                    self._trial.violations.append(f"{step.method}: {error.code().name} {error.details()}")
                    raise
                self._trial.contention["photos without room"] += 1
                await asyncio.sleep(0.05)

    async def _bytes(self, evidence_id: str) -> bytes | None:
        """None where they cannot be had."""
        request = evidence_pb2.DownloadEvidenceRequest(evidence_id=evidence_id)
        replies = self._town.delivery.DownloadEvidence(request, timeout=10)
        try:
            return b"".join([reply.chunk async for reply in replies])
        except grpc.aio.AioRpcError:
            return None


CAMPAIGN = Campaign(
    number=20,
    title="A full disk for photos",
    promises=(16,),
    attempt="full disks",
    short=20,
    long=200,
    run=run,
    contention=("photos without room", "packages delivered"),
    engines=("mysql", "mariadb"),
)
