"""Photos: keeping them, finding them, sending them back."""

import uuid
from collections.abc import AsyncIterator

from holdfast.delivery.v1 import evidence_pb2 as pb

from delivery_service.application.keep_evidence import (
    check_uploader,
    keep_evidence,
    keep_one_copy,
    keep_photo,
)
from delivery_service.application.read_photo import condition_of, read_photo
from delivery_service.application.reads import get_evidence, get_package
from delivery_service.domain.errors import NotYourPackage, PackageNotFound, PhotoUnreadable
from delivery_service.domain.evidence import Evidence, Photo, photo_name
from delivery_service.rpc.caller import current_actor
from delivery_service.rpc.messages import evidence
from delivery_service.rpc.methods import Methods
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.draining import until_drained
from servicekit.errors import RequestIdReused, field_invalid
from servicekit.rpc.context import Context
from servicekit.rpc.paging import after_time_and_text, one_page


class EvidenceMethods(Methods):
    """The part of DeliveryService that speaks of photos."""

    async def UploadEvidence(
        self, request_iterator: AsyncIterator[pb.UploadEvidenceRequest], context: Context
    ) -> pb.UploadEvidenceResponse:
        with self._streams.one_more():
            # A slow one would outlast the drain and be cut without a word.
            return await self._upload(until_drained(request_iterator, self._draining), context)

    async def _upload(
        self, messages: AsyncIterator[pb.UploadEvidenceRequest], context: Context
    ) -> pb.UploadEvidenceResponse:
        header = await evidence.read_header(messages)
        command = evidence.keep_evidence(header, uuid.uuid4().hex, current_actor())
        # A photo that nobody wants is refused before it travels.
        await self._transactions.read(lambda uow: check_uploader(command, uow))
        content = await evidence.read_content(messages)
        photo = await self._keep(command.evidence_id, header, content)
        # The digest of the bytes belongs to what makes two uploads under one request_id equal.
        header.sha256 = photo.sha256
        try:
            reply = await self._change(
                header,
                lambda uow: keep_evidence(command, photo, uow),
                lambda kept: pb.UploadEvidenceResponse(evidence=evidence.evidence_message(kept)),
                pb.UploadEvidenceResponse,
                context,
                name="evidence",
            )
        except (PackageNotFound, NotYourPackage, RequestIdReused):
            await self._photo_store.remove(photo_name(photo.sha256, command.evidence_id))
            raise
        kept_id = reply.evidence.evidence_id
        await keep_one_copy(kept_id, command.evidence_id, photo.sha256, content, self._photo_store)
        return reply

    async def GetEvidence(self, request: pb.GetEvidenceRequest, context: Context) -> pb.GetEvidenceResponse:
        wanted = evidence.evidence_id(request)
        found = await self._transactions.read(lambda uow: get_evidence(wanted, uow))
        with self._streams.one_more():
            condition = await condition_of(found, self._photo_store)
        return evidence.get_evidence_message(found, condition)

    async def DownloadEvidence(
        self, request: pb.DownloadEvidenceRequest, context: Context
    ) -> AsyncIterator[pb.DownloadEvidenceResponse]:
        wanted = evidence.evidence_id(request)
        found = await self._transactions.read(lambda uow: get_evidence(wanted, uow))
        with self._streams.one_more():
            content = await read_photo(found, self._photo_store)
            for start in range(0, len(content), evidence.MOST_CHUNK_BYTES):
                yield pb.DownloadEvidenceResponse(chunk=content[start : start + evidence.MOST_CHUNK_BYTES])

    async def ListEvidence(
        self, request: pb.ListEvidenceRequest, context: Context
    ) -> pb.ListEvidenceResponse:
        wanted, kind, page = evidence.list_evidence(request)
        before = after_time_and_text(page)

        async def work(uow: RequestUnitOfWork) -> list[Evidence]:
            package = await get_package(wanted, uow)
            return await uow.evidence.list_evidence(package.package_id, kind, page.size + 1, before)

        found = await self._transactions.read(work)
        photos, token = one_page(
            request,
            page,
            found,
            lambda row: (row.create_time.isoformat(), row.evidence_id),
            evidence.evidence_message,
        )
        return pb.ListEvidenceResponse(evidence=photos, next_page_token=token)

    async def _keep(self, evidence_id: str, header: pb.EvidenceHeader, content: bytes) -> Photo:
        try:
            return await keep_photo(
                evidence_id,
                content,
                self._photo_reader,
                self._photo_store,
                lambda photo: evidence.check_promises(header, photo),
            )
        except PhotoUnreadable as error:
            raise field_invalid([("chunk", str(error))]) from error
