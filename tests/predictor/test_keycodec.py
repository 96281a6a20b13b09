"""Keys and codes: what packs comes back as the same bytes, and one key has one code."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from antecache.predictor.keycodec import CODE_BITS, TEXT_LIMIT, Codec
from antecache.predictor.misslog import MissLog

WORD = st.sampled_from([b"user", b"cart", b"page", b"17", b"0", b"00", b"face", b"", b"%d", b"*"])
NUMBER = st.one_of(
    st.integers(0, 1 << 64).map(lambda n: b"%d" % n),
    st.integers(0, 1 << 48).map(lambda n: b"%010x" % n),
    st.integers(0, 9999).map(lambda n: b"%06d" % n),
    st.binary(max_size=6),
)
SEPARATOR = st.sampled_from([b":", b"/", b"-", b".", b"_", b""])
KEY = st.one_of(
    st.binary(max_size=40),
    st.lists(st.one_of(WORD, NUMBER, SEPARATOR), max_size=7).map(b"".join),
    st.tuples(WORD, st.just(b":"), NUMBER, st.just(b":"), WORD).map(b"".join),
)


#: numbers that are integers or hex, by length and by chance, in few texts
MIXED = st.builds(
    lambda around, number: around % number,
    st.sampled_from([b"%s", b"u:%s", b"u:%s:a", b"p/%s"]),
    st.one_of(
        st.integers(0, 50).map(lambda n: b"%d" % n),
        st.integers(0, 50).map(lambda n: b"%08x" % (n * 0x1234567)),
        st.integers(10**7, 1 << 34).map(lambda n: b"%d" % n),
        st.integers(0, (1 << 40) - 1).map(lambda n: b"%010x" % n),
    ),
)


@given(st.lists(KEY, max_size=60))
@settings(max_examples=300)
def test_every_key_comes_back(keys: list[bytes]) -> None:
    codec = Codec()
    for key in keys:
        code = codec.encode(key)
        assert 0 <= code < 1 << CODE_BITS
        assert codec.decode(code) == key
    held = {}
    for key in keys:
        code = codec.find(key)
        if code >= 0:  # a key met before its template was learned may be known by its text only
            assert codec.decode(code) == key
            assert held.setdefault(code, key) == key


@given(st.lists(KEY, min_size=1, max_size=60))
def test_a_state_reads_back(keys: list[bytes]) -> None:
    codec = Codec()
    codes = [codec.encode(key) for key in keys]
    again = Codec.load(codec.dump())
    assert [again.decode(code) for code in codes] == [codec.decode(code) for code in codes]
    assert [again.find(key) for key in keys] == [codec.find(key) for key in keys]
    assert [again.name(code) for code in codes] == [codec.name(code) for code in codes]


@given(st.lists(MIXED, min_size=1, max_size=60), st.lists(MIXED, max_size=30))
@example(  # an integer of eight digits, before there was a template of eight hex digits
    [b"u:01234567", b"u:2468ace0", b"u:10000000", b"u:0", b"u:1", b"u:00000000"], []
)
@settings(max_examples=300)
def test_a_log_goes_on_from_its_state(keys: list[bytes], more: list[bytes]) -> None:
    """Codes, candidates, and both again after further events of keys that have templates."""
    log = MissLog(20_000)
    for key in keys:
        log.observe(key, demand=True)
    again = MissLog(20_000)
    again.load(log.dump())
    for events in ([], [key for key in keys + more if log.codec.find(key) >= TEXT_LIMIT]):
        for key in events:
            log.observe(key, demand=True)
            again.observe(key, demand=True)
        for key in keys + more:
            code = log.codec.find(key)
            assert again.codec.find(key) == code
            assert code < 0 or again.codec.decode(code) == log.codec.decode(code) == key
            assert again.candidates(key) == log.candidates(key)
        again.check()


def learned(*keys: bytes) -> Codec:
    codec = Codec()
    for _ in range(2):
        for key in keys:
            codec.encode(key)
    return codec


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (b"user:%d:cart", "user:*:cart"),
        (b"page/%d", "page/*"),
        (b"%d", "*"),
        (b"17:%010x:0", "17:*:0"),
        (b"v1/objects/%012x.json", "v1/objects/*.json"),
        (b"item%d", "item*"),
        (b"100%%:%d", "100%:*"),
    ],
)
def test_templates_are_learned_from_a_few_keys(form: bytes, name: str) -> None:
    codec = learned(*(form % (7919 * n + 64001) for n in range(12)))
    key = form % 4242424242
    code = codec.encode(key)
    assert code >= TEXT_LIMIT
    assert codec.decode(code) == key
    assert codec.name(code) == name
    assert codec.texts.count < 12


def test_twelve_hex_digits_fit_beside_everything_else() -> None:
    codec = learned(*(b"%012x" % (n * 0x1234567891) for n in range(1, 9)))
    codec_codes = {codec.encode(b"%012x" % (n << 40)) for n in range(256)}
    assert len(codec_codes) == 256
    assert min(codec_codes) >= TEXT_LIMIT
    assert codec.decode(codec.encode(b"user:7")) == b"user:7"


def test_a_second_field_that_varies_is_packed_too() -> None:
    codec = learned(*(b"order:%d:line:%d" % (n * 7, n * 3 % 11) for n in range(12)))
    key = b"order:90210:line:17"
    assert codec.name(codec.encode(key)) == "order:*:line:*"
    assert codec.decode(codec.encode(key)) == key
    codec = Codec()
    for order in range(100):  # lines first seem to be the only field that varies
        for line in range(10):
            codec.encode(b"order:%d:line:%d" % (order, line))
    assert codec.name(codec.encode(key)) == "order:*:line:*"
    assert codec.nbytes < 60_000


def test_the_number_of_a_type_stays_text() -> None:
    """`17:ID:0` and `17:ID:1` are different templates: rules over templates need that."""
    keys = [b"%d:%010x:%d" % (kind, n << 20 | 3, n % 3) for kind in (3, 17) for n in range(1, 90)]
    codec = learned(*keys)
    assert codec.name(codec.encode(b"17:5b61097884:0")) == "17:*:0"
    assert codec.name(codec.encode(b"17:5b61097884:1")) == "17:*:1"
    # an id that happens to have no letter belongs to the same template
    assert codec.group(codec.encode(b"17:1234567890:1")) == codec.group(
        codec.encode(b"17:5b61097884:1")
    )
    assert codec.decode(codec.encode(b"17:1234567890:1")) == b"17:1234567890:1"
    assert codec.decode(codec.encode(b"17:0000000001:1")) == b"17:0000000001:1"


def test_keys_that_are_not_canonical_are_text() -> None:
    codec = learned(*(b"user:%d" % n for n in range(10, 20)))
    for key in (b"user:042", b"user:+42", b"user: 42", b"user:4_2", b"user:-42", b"USER:\xff42"):
        code = codec.encode(key)
        assert codec.decode(code) == key
        assert codec.name(code) != "user:*"


def test_texts_are_named_by_their_first_field() -> None:
    codec = Codec()
    assert codec.name(codec.encode(b"session:9b2e-not-a-number")) == "session:?"
    assert codec.name(codec.encode(b"/history/apollo/")) == "?"


def test_memory_of_templates_is_bounded() -> None:
    codec = Codec(max_templates=20)
    for n in range(3000):
        key = b"%s:%d:%s" % (b"x" * (n % 97), n, b"y" * (n % 89))
        codec.release(codec.encode(key))
    assert codec.nbytes < 20 * 2000
    assert codec.texts.count == 0


def test_a_state_with_a_foreign_format_is_refused() -> None:
    state = learned(*(b"user:%d" % n for n in range(9))).dump()
    state["templates"][0][0] = b"user:%s"
    with pytest.raises(ValueError, match="template"):
        Codec.load(state)
