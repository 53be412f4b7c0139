"""A card changed here and there: laws that hold whatever was changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webmail.books.merge import SINGLE, Face, merge
from webmail.mime import Card

value = st.sampled_from(["", "a", "b", "c"])
pairs = st.lists(st.sampled_from(["1@x", "2@x", "3@x", "4@x"]), unique=True).map(
    lambda some: tuple((one, "") for one in some)
)
faces = st.builds(
    Face,
    st.builds(Card, name=value, organisation=value, title=value, address=value, note=value, emails=pairs, phones=pairs),
    st.frozensets(st.sampled_from("xyz")),
)


def sets(face: Face) -> Face:
    """In one order."""
    card = face.card
    return Face(
        Card(**{name: getattr(card, name) for name in SINGLE}, emails=tuple(sorted(card.emails)), phones=tuple(sorted(card.phones))),
        face.groups,
    )  # fmt: skip


@given(base=faces, one=faces)
def test_what_only_one_side_changed_is_as_that_side_has_it(base: Face, one: Face) -> None:
    for merged, lost in (merge(base, one, base), merge(base, base, one)):
        assert sets(merged) == sets(one)
        assert lost == []


@given(base=faces, one=faces)
def test_what_both_changed_alike_is_so(base: Face, one: Face) -> None:
    merged, lost = merge(base, one, one)
    assert (sets(merged), lost) == (sets(one), [])


@given(base=faces, here=faces, there=faces)
def test_nothing_that_was_put_in_is_lost_without_being_told(base: Face, here: Face, there: Face) -> None:
    merged, lost = merge(base, here, there)
    told = {(one.field, one.here) for one in lost}
    for name in SINGLE:
        before, ours, theirs, now = (getattr(one.card, name) for one in (base, here, there, merged))
        assert now in (ours, theirs)
        if theirs not in (before, ours):
            assert now == theirs
        if ours not in (before, "", now):
            assert (name, ours) in told
    for name in ("emails", "phones"):
        before, ours, theirs, now = (set(getattr(one.card, name)) for one in (base, here, there, merged))
        assert now == (ours | theirs) - (before - ours) - (before - theirs)
