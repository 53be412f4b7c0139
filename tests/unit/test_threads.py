"""Subjects and threads. The law: the grouping does not depend on the order of arrival, nor on the batches."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.threads import ThreadInput, assign, base_subject, forward_subject, is_reply, reply_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: Hello", "Hello"),
        ("RE: re: Re[2]: Hello", "Hello"),
        ("Re : Hello", "Hello"),
        ("Re(3): Hello", "Hello"),
        ("Re^2: Hello", "Hello"),
        ("SV: VS: Møte", "Møte"),
        ("AW: WG: Treffen", "Treffen"),
        ("Antw: Doorst: Afspraak", "Afspraak"),
        ("RIF: TR: ENC: Ciao", "Ciao"),
        ("回复：你好", "你好"),
        ("[list] Re: [list] Hello", "Hello"),
        ("[list]", "[list]"),
        ("Re: [Fwd: Hello]", "Hello"),
        ("Hello (fwd) (Fwd)", "Hello"),
        ("  A \t b\n c ", "A b c"),
        ("Report: figures", "Report: figures"),
        ("Really: no", "Really: no"),
        ("", ""),
        ("Re:", ""),
    ],
)
def test_the_base_subject_is_what_the_first_writer_wrote(subject, base):
    assert base_subject(subject) == base


@given(st.text())
def test_a_base_subject_has_no_base_beneath_it(subject):
    assert base_subject(base_subject(subject)) == base_subject(subject)


@pytest.mark.parametrize("subject", ["Re: x", "SV: x", "AW: x", "[list] Re: x", "RE[4]: x", "Odp: x", "返信: x"])
def test_a_reply_is_recognised(subject):
    assert is_reply(subject)


@pytest.mark.parametrize("subject", ["x", "Fwd: x", "Reply to x", "[Re] x", "VS: x"])
def test_what_is_no_reply_is_not_taken_for_one(subject):
    assert not is_reply(subject)


def test_prefixes_are_not_doubled():
    assert reply_subject("Hei") == "Re: Hei"
    assert reply_subject("Re: SV: Hei") == "Re: Hei"
    assert reply_subject("[list] Re: Hei") == "Re: [list] Hei"
    assert reply_subject("Fwd: Hei") == "Re: Fwd: Hei"
    assert forward_subject("Hei") == "Fwd: Hei"
    assert forward_subject("Fwd: VS: Hei") == "Fwd: Hei"
    assert forward_subject("Re: Hei") == "Fwd: Re: Hei"


@given(st.text())
def test_answering_an_answer_changes_nothing(subject):
    assert reply_subject(reply_subject(subject)) == reply_subject(subject)
    assert forward_subject(forward_subject(subject)) == forward_subject(subject)


def test_a_subject_of_prefixes_takes_no_longer_than_its_length():
    assert base_subject("Re: " * 100_000) == ""
    assert len(base_subject("[a]" * 100_000)) < 10


def test_a_reply_joins_what_it_answers():
    plan = assign([ThreadInput("a", "1"), ThreadInput("b", "2", ("1",)), ThreadInput("c", "3")], {})
    assert plan.assignments["a"] == plan.assignments["b"] != plan.assignments["c"]
    assert plan.merges == []


def test_answers_to_a_message_that_never_came_are_together():
    plan = assign([ThreadInput("a", "1", ("0",)), ThreadInput("b", "2", ("0",))], {})
    assert plan.assignments == {"a": -1, "b": -1}
    assert plan.ids == {"0": -1, "1": -1, "2": -1}


def test_a_message_between_two_threads_merges_them_into_the_smaller():
    plan = assign([ThreadInput("m", "3", ("1", "2"))], {"1": 9, "2": 4})
    assert plan.assignments == {"m": 4}
    assert plan.merges == [(9, 4)]
    assert plan.ids == {"1": 4, "3": 4}


def test_a_message_without_id_is_a_thread_of_its_own():
    plan = assign([ThreadInput("a", ""), ThreadInput("b", "")], {"": 7})
    assert sorted(plan.assignments.values()) == [-2, -1]
    assert plan.ids == {}


def test_one_message_in_two_mailboxes_is_in_one_thread():
    plan = assign([ThreadInput("sent", "1"), ThreadInput("inbox", "1")], {})
    assert plan.assignments["sent"] == plan.assignments["inbox"]


def test_new_threads_are_numbered_from_the_oldest_message():
    new, old = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    plan = assign([ThreadInput("a", "1", date=new), ThreadInput("b", "2", date=old)], {})
    assert plan.assignments == {"a": -2, "b": -1}


def test_only_the_first_and_the_last_hundred_references_count():
    references = tuple(str(number) for number in range(1000))
    plan = assign([ThreadInput("a", "x", references)], {})
    assert len(plan.ids) == 102
    assert "0" in plan.ids
    assert "1" not in plan.ids


IDS = st.sampled_from([f"id{number}" for number in range(12)])
MESSAGES = st.lists(st.tuples(st.one_of(st.just(""), IDS), st.lists(IDS, max_size=4)), max_size=14).map(
    lambda rows: [ThreadInput(key, own, tuple(refs)) for key, (own, refs) in enumerate(rows)]
)


def grouping(batches):
    """Thread all batches as a caller would, and tell which keys end up together."""
    known, threads, next_thread = {}, {}, 1
    for batch in batches:
        plan = assign(batch, known)
        numbers = {}
        for thread in sorted({t for t in plan.assignments.values() if t < 0}, reverse=True):
            numbers[thread], next_thread = next_thread, next_thread + 1
        merged = dict(plan.merges)
        threads = {key: merged.get(thread, thread) for key, thread in threads.items()}
        known = {name: merged.get(thread, thread) for name, thread in known.items()}
        known |= {name: numbers.get(thread, thread) for name, thread in plan.ids.items()}
        threads |= {key: numbers.get(thread, thread) for key, thread in plan.assignments.items()}
    groups = defaultdict(set)
    for key, thread in threads.items():
        groups[thread].add(key)
    return {frozenset(group) for group in groups.values()}


@given(MESSAGES, st.data())
def test_the_grouping_does_not_depend_on_order_or_batches(messages, data):
    shuffled = data.draw(st.permutations(messages))
    cut = data.draw(st.integers(0, len(messages)))
    together = grouping([messages])
    assert together == grouping([shuffled])
    assert together == grouping([shuffled[:cut], shuffled[cut:]])
    assert together == grouping([[message] for message in shuffled])


def test_what_was_split_off_and_its_answers_join_nothing_before_it():
    """The answers name also what it answered."""
    root, split = ThreadInput("root", "1"), ThreadInput("split", "2", ("1",))
    answer, other = ThreadInput("answer", "3", ("1", "2")), ThreadInput("other", "4", ("1",))
    plan = assign([root, split, answer, other], {}, frozenset({"2"}))
    assert plan.assignments["split"] == plan.assignments["answer"]
    assert plan.assignments["root"] == plan.assignments["other"] != plan.assignments["split"]
