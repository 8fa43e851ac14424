"""Random calls upon one package: about half of them are what comes next, the others are what should be refused."""

from dataclasses import replace

from hypothesis import strategies as st

from tests.delivery_service.model import PATHS, SHELF, STEPS, VERBS, Call, Model, Parcel, Photo, roles

ACTORS = [
    ("MERCHANT", "7"),
    ("MERCHANT", "8"),
    ("DRIVER", "5"),
    ("DRIVER", "6"),
    ("DRIVER", "9"),
    ("WAREHOUSE", "3"),
    ("WAREHOUSE", "4"),
    ("DISPATCHER", "control"),
    ("SYSTEM", "tests"),
]
OWN = {"MERCHANT": "7", "WAREHOUSE": "3", "DISPATCHER": "control", "SYSTEM": "tests"}

Photos = st.SearchStrategy[tuple[Photo, ...]]
actors = st.sampled_from(ACTORS)


@st.composite
def calls(draw: st.DrawFn, model: Model, parcel: Parcel, fresh: str) -> Call:
    """One call; `fresh` names a photo that nobody has taken before."""
    verb = draw(st.sampled_from([*_next_verbs(parcel) * 12, *VERBS]))
    right = draw(st.sampled_from([True] * 7 + [False]))
    role, actor_id = draw(_right_actors(parcel, verb) if right else actors)
    photos = draw(_photos(model, parcel, verb, fresh))
    version = draw(st.sampled_from([*[0] * 6, parcel.version, parcel.version, parcel.version - 1]))
    driver_id = draw(st.sampled_from(["5", "6", "9"])) if verb == "ASSIGN_DRIVER" else ""
    return Call(verb, parcel.package_sn, role, actor_id, photos, driver_id, version)


def pairs(model: Model, parcel: Parcel, fresh: str) -> st.SearchStrategy[tuple[Call, Call]]:
    """Two calls upon one package."""
    return st.tuples(calls(model, parcel, f"{fresh}a"), calls(model, parcel, f"{fresh}b"))


def repeats(parcel: Parcel, fresh: str) -> st.SearchStrategy[Call]:
    """The last verb again, by the same actor or another, with the same photos, fewer or others."""
    last = parcel.events[-1]
    named = last.driver_id if last.verb == "ASSIGN_DRIVER" else ""
    photos = tuple(sorted(last.photos, key=lambda photo: photo.content))
    others = tuple(replace(photo, content=fresh) for photo in photos[:1])
    verb = "CANCEL" if last.verb == "CREATE" else last.verb
    same = st.just((last.role, last.actor_id))

    def again(by: tuple[str, str], shown: tuple[Photo, ...], version: int) -> Call:
        return Call(verb, parcel.package_sn, by[0], by[1], shown, named, version)

    return st.builds(
        again,
        same | same | actors,
        st.sampled_from([photos, photos, photos[1:], others]),
        st.sampled_from([0, parcel.version - 1]),
    )


def packs(model: Model, order_id: str) -> st.SearchStrategy[tuple[str, int]]:
    """A workflow and a leg for another package of an order; the second leg where there is something to take on."""
    arrived = any(parcel.state == "WAREHOUSE_RECEIVED" for parcel in model.of_order(order_id))
    first = st.tuples(st.sampled_from(sorted(PATHS)), st.just(0))
    second = st.just(("DRIVER_TO_USER", 1))
    return second | second | second | first if arrived else first | first | second


def _next_verbs(parcel: Parcel) -> list[str]:
    verbs = [verb for verb, (state, _) in STEPS.items() if state == parcel.next_state]
    if parcel.by_driver and parcel.state == "PREPARED":
        verbs = verbs if parcel.driver_id else ["CLAIM", *verbs]
    if parcel.state in SHELF and parcel.stock == "REJECTED":
        verbs = ["RETRY_RESERVATION", *verbs]
    return verbs


def _right_actors(parcel: Parcel, verb: str) -> st.SearchStrategy[tuple[str, str]]:
    own = OWN | {"DRIVER": parcel.driver_id or "5"}
    return st.sampled_from([(role, own[role]) for role in sorted(roles(parcel, verb))])


def _photos(model: Model, parcel: Parcel, verb: str, fresh: str) -> Photos:
    kind = STEPS.get(verb, ("", ""))[1]
    sn = parcel.package_sn
    if verb == "RETRY_RESERVATION":
        return st.just(())
    if not kind:
        return st.sampled_from([*[()] * 7, (Photo(sn, "DELIVERY", fresh),)])
    right = (Photo(sn, kind, fresh),)
    others = [other for other in model.parcels if other != sn] or [sn]
    bad = [
        (),
        (Photo(sn, "ARRIVAL" if kind != "ARRIVAL" else "RECEIPT", fresh),),
        (Photo(others[0], kind, fresh),),
        (Photo("", kind, fresh),),
        (*right, Photo(sn, kind, f"{fresh}-again")),
        *((Photo(sn, kind, content),) for content in sorted(model.used)[-2:]),
    ]
    return st.sampled_from([right] * 3 * len(bad) + bad)
