"""Keys packed into 50 bits that can be turned back into the key.

A log that is to *fetch* what it remembers cannot keep fingerprints, and cannot
afford strings. Most keys are a fixed text around a number: `user:42:cart`,
`17:5b61097884:0`, `page/12`, `4289531136`. Such a key is packed as the number
of its template (the text around it) and the integer or the hex digits.

Templates are learned. A key is cut at its numeric and hex fields; what is left
is its *shape*. After a few different keys of one shape it is decided which
fields vary: the one with most different values, and a second one where it
varies as much. All other fields are text, so `17:*:0` and `17:*:1` are two
templates, which is what the rules over templates want.

The code space is cut by the width of the number, so that a 12-digit hex key
fits beside everything else:

    0x0 tttt pppppppp   32-bit numbers, 65535 templates; template 0 is text
    0x1 00tt pppppppppp 40-bit numbers, 256 templates
    0x2/0x3 pppppppppppp 48-bit numbers, two templates

Only canonical keys are packed, so that unpacking gives back the same bytes: no
leading zeros in integers (a field of digits with a leading zero is packed as
hex of that width), lower-case hex, no sign. Any other key is kept as text
(`texts.py`) under template 0.

What this file does not do: expire templates (they are few and small), or keep
the text of a key that nothing refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from antecache.predictor.texts import Texts

CODE_BITS = 50
_NARROW, _MIDDLE, _WIDE = 32, 40, 48  # bits of number, by class
_MIDDLE_BASE = 1 << 48
_WIDE_BASE = 1 << 49
_MAX_MIDDLE = 256
_MAX_WIDE = 2
#: codes below are texts
TEXT_LIMIT = 1 << 32

#: estimated bytes of one template with its dictionary entries
TEMPLATE_BYTES = 350
_SHAPE_BYTES, _KEY_BYTES, _FORM_BYTES = 400, 64, 96
_FIELD = re.compile(rb"(?<![0-9A-Za-z])([0-9a-f]+)(?![0-9A-Za-z])")
_NUMBER = re.compile(rb"%d|%0[0-9]+x")
_TRAILING = re.compile(rb"([0-9]+)\Z")
#: different keys of a shape before its varying fields are decided: one field, several
_EVIDENCE_ONE, _EVIDENCE_MANY = 3, 8
#: a second field varies when it takes this many values among _EVIDENCE_MANY keys
_SECOND_VARIES = 6
#: templates of one shape beyond which its second field is taken to vary after all
_FLIP = 64
_PENDING_SHAPES = 32
#: sightings of a text around a number before it is a template, texts that are being counted
_SIGHTINGS, _PENDING_FORMS = 3, 32
_MAX_KEY = 512
#: bits of the first and the second number of a template with two, tried in order
_SPLITS = ((_NARROW, 16, 16), (_MIDDLE, 28, 12), (_MIDDLE, 20, 20), (_MIDDLE, 12, 28))


class Template:
    """The text around the number, or the two numbers, of a key.

    base    the code of this template with number 0
    bits    width of the number
    split   bits of the second number, 0 where there is one
    form    bytes format that takes the number, or both
    name    the text with `*` for each number
    digits  hex digits, 0 for decimal
    other   a template of the same form and another width, or None
    around  for `NUMBER`, `text:NUMBER` and `text:NUMBER:text` the text, else None
    """

    __slots__ = ("around", "base", "bits", "digits", "form", "name", "other", "split")

    def __init__(self, form: bytes, digits: int, bits: int, split: int) -> None:
        self.form = form
        self.digits = digits
        self.bits = bits
        self.split = split
        self.base = 0
        self.other: Template | None = None
        pieces = _pieces(form)
        self.name = b"*".join(pieces).decode("utf-8", "backslashreplace")
        self.around = _around(pieces)


class _Shape:
    """What is known of a shape: keys seen while undecided, then the varying fields."""

    __slots__ = ("fields", "seen", "templates")

    def __init__(self) -> None:
        self.seen: set[bytes] | None = set()
        self.fields: tuple[int, ...] = ()
        self.templates = 0


class Codec:
    """Packs keys to codes below 2**50 and back; learns templates from what it packs.

    max_templates  how many templates may be learned; further keys are kept as text
    """

    def __init__(self, max_templates: int = 1024) -> None:
        self.max_templates = max_templates
        self.texts = Texts()
        self._narrow: list[Template] = []
        self._middle: list[Template] = []
        self._wide: list[Template] = []
        self._known: dict[bytes, Template] = {}  # by form; `other` leads to the next
        self._templates = 0
        self._met: dict[bytes, int] = {}  # forms met less than _SIGHTINGS times
        self._shapes: dict[bytes, _Shape] = {}
        self._pending: list[bytes] = []
        self._overhead = 0  # bytes of templates and shapes
        # short cuts for `text:NUMBER`, `text:NUMBER:text` and `NUMBER`, by the text around
        self._integers: dict[bytes, int] = {}
        self._hexes: dict[bytes, Template] = {}

    def find(self, key: bytes) -> int:
        """The code of `key`, or -1 when nothing can be logged under it. Learns nothing."""
        code = self._pack(key, False)
        return code if code >= 0 else self.texts.find(key)

    def encode(self, key: bytes) -> int:
        """The code of `key`; a text is referred to once more, until `release`."""
        code = self._pack(key, True)
        return code if code >= 0 else self.texts.acquire(key)

    def code(self, key: bytes, *, learn: bool) -> int:
        """The code of a key that a template packs, or -1; may learn the template."""
        return self._pack(key, learn)

    def group(self, code: int) -> int:
        """A number below 2**17 for the template of a packed code."""
        if code >= _WIDE_BASE:
            return 0x10200 | code >> 48 & 1
        if code >= _MIDDLE_BASE:
            return 0x10000 | code >> 40 & 255
        return code >> 32

    def template_of_group(self, group: int) -> Template | None:
        """The template that `group` numbered."""
        if group >= 0x10200:
            return self.template(_WIDE_BASE | (group & 1) << 48)
        if group >= 0x10000:
            return self.template(_MIDDLE_BASE | (group & 255) << 40)
        return self.template(group << 32)

    def release(self, code: int) -> None:
        """Something that `encode` returned is referred to no longer."""
        if code < TEXT_LIMIT:
            self.texts.release(code)

    def decode(self, code: int) -> bytes | None:
        """The key of a code; None when no key has it."""
        if code < TEXT_LIMIT:
            return self.texts.get(code)
        template = self.template(code)
        if template is None:
            return None
        number = code - template.base
        if template.split:
            second = number & ((1 << template.split) - 1)
            return template.form % (number >> template.split, second)
        return template.form % number

    def template(self, code: int) -> Template | None:
        """The template of a code; None for a text or a code that was never given."""
        if code >= _WIDE_BASE:
            number, known = code >> 48 & 1, self._wide
        elif code >= _MIDDLE_BASE:
            number, known = code >> 40 & 255, self._middle
        else:
            number, known = (code >> 32) - 1, self._narrow
        return known[number] if 0 <= number < len(known) else None

    def name(self, code: int) -> str:
        """`17:*:0`; a text is named by its first field (`session:?`) or `?`."""
        template = self.template(code)
        if template is not None:
            return template.name
        text = self.texts.get(code) if code < TEXT_LIMIT else None
        field, colon, _ = (text or b"").partition(b":")
        if not colon or len(field) > 32:
            return "?"
        return field.decode("utf-8", "backslashreplace") + ":?"

    @property
    def nbytes(self) -> int:
        """Estimated bytes of templates, shapes and texts."""
        return self._overhead + self.texts.nbytes

    @property
    def overhead(self) -> int:
        """Estimated bytes of templates and shapes alone."""
        return self._overhead

    # ------------------------------------------------------------------ packing

    def _pack(self, key: bytes, learn: bool) -> int:
        first = key.find(b":")
        if first < 0:
            around, field = b"", key
        else:
            last = key.rfind(b":")
            if last == first:
                around, field = key[: first + 1], key[first + 1 :]
            else:
                around, field = key[: first + 1] + key[last:], key[first + 1 : last]
        if field.isdigit() and (field[0] != 48 or len(field) == 1):
            base = self._integers.get(around)
            # a long one may be hex that has no letter by chance
            if base is not None and (len(field) < 8 or around not in self._hexes):
                number = int(field) if len(field) <= 10 else TEXT_LIMIT
                if number < TEXT_LIMIT:
                    return base + number
        else:
            template = self._hexes.get(around)
            if template is not None and len(field) == template.digits and not field.isalpha():
                try:
                    number = int(field, 16)
                except ValueError:
                    number = -1
                if number >= 0 and template.form % number == key:
                    return template.base + number
        return self._pack_slowly(key, learn, around)

    def _pack_slowly(self, key: bytes, learn: bool, around: bytes) -> int:
        if len(key) > _MAX_KEY or b"\0" in key:
            return -1
        parts = _split(key)
        if len(parts) == 1 or len(parts) > 17:
            return -1
        if first_long := next((f for f in parts[1::2] if len(f) >= 8 and f.isdigit()), b""):
            found = self._as_known_hex(key, parts, first_long)
            if found >= 0:
                return found
        known = self._shapes.get(_shape_of(parts))
        if known is None or known.seen is not None:
            if not learn or self._templates >= self.max_templates:
                return -1
            known = self._study(parts, key)
            if known is None:
                return -1
        template, number = self._choose(parts, known, learn)
        if template is None:
            return -1
        if template.around == around:
            if template.digits:
                self._hexes.setdefault(around, template)
            elif template.bits == _NARROW:
                self._integers[around] = template.base
        return template.base + number

    def _as_known_hex(self, key: bytes, parts: list[bytes], field: bytes) -> int:
        """The code of a key whose long number is hex that has no letter by chance, or -1."""
        digits = len(field)
        at = parts.index(field, 1)
        pieces = b"".join(parts[:at]), b"".join(parts[at + 1 :])
        template = self._known.get(_form(pieces, digits)) if digits <= 12 else None
        return template.base + int(field, 16) if template is not None else -1

    def _study(self, parts: list[bytes], key: bytes) -> _Shape | None:
        """Count a key towards deciding its shape; the shape once it is decided."""
        shape = _shape_of(parts)
        known = self._shapes.get(shape)
        if known is None:
            if len(self._shapes) - len(self._pending) >= self.max_templates:
                return None
            while len(self._pending) >= max(4, min(_PENDING_SHAPES, self.max_templates // 3)):
                forgotten = self._shapes.pop(self._pending.pop(0))
                self._overhead -= _SHAPE_BYTES + _weight(forgotten.seen)
            known = self._shapes[shape] = _Shape()
            self._pending.append(shape)
            self._overhead += _SHAPE_BYTES
        seen = known.seen
        assert seen is not None
        if key in seen:
            return None
        seen.add(key)
        self._overhead += _KEY_BYTES + len(key)
        many = len(parts) > 3
        if len(seen) < (_EVIDENCE_MANY if many else _EVIDENCE_ONE):
            return None
        self._overhead -= _weight(seen)
        known.fields = _varying(list(map(_split, seen)))
        known.seen = None
        self._pending.remove(shape)
        return known

    def _choose(
        self, parts: list[bytes], shape: _Shape, learn: bool
    ) -> tuple[Template | None, int]:
        """The template for a key of a decided shape and the key's number."""
        fields = shape.fields
        if len(fields) == 2:
            first, second = int(parts[fields[0]]), int(parts[fields[1]])
            for bits, high, low in _SPLITS:
                if first < 1 << high and second < 1 << low:
                    number = first << low | second
                    return self._learned(parts, shape, fields, 0, bits, low, learn), number
            fields = fields[:1] if first >= second else fields[1:]  # too wide: the larger one
        text = parts[fields[0]]
        digits = _hex_digits(text)
        number = int(text, 16 if digits else 10)
        size = 4 * digits if digits else number.bit_length()
        bits = next((width for width in (_NARROW, _MIDDLE, _WIDE) if size <= width), 0)
        if not bits:
            return None, 0
        return self._learned(parts, shape, fields, digits, bits, 0, learn), number

    def _learned(
        self,
        parts: list[bytes],
        shape: _Shape,
        fields: tuple[int, ...],
        digits: int,
        bits: int,
        split: int,
        learn: bool,
    ) -> Template | None:
        pieces = []
        at = 0
        for field in fields:
            pieces.append(b"".join(parts[at:field]))
            at = field + 1
        pieces.append(b"".join(parts[at:]))
        form = _form(pieces, digits)
        first = template = self._known.get(form)
        while template is not None and (template.bits != bits or template.split != split):
            template = template.other
        if template is not None or not learn or self._templates >= self.max_templates:
            return template
        if shape.templates >= _FLIP and len(shape.fields) == 1 and not digits:
            integers = [at for at in range(1, len(parts), 2) if not _hex_digits(parts[at])]
            others = [at for at in integers if at not in fields]
            if len(others) == 1:  # the other number varies too: two numbers from here on
                shape.fields = tuple(sorted((*fields, *others)))
                shape.templates = 0
                self._integers.clear()
                return None  # this key is kept as text once
        if len(parts) // 2 > len(fields) and not self._is_frequent(form):
            return None
        made = Template(form, digits, bits, split)
        if not self._number(made):
            return None
        made.other = first
        self._known[form] = made
        self._overhead += TEMPLATE_BYTES
        shape.templates += 1
        return made

    def _is_frequent(self, form: bytes) -> bool:
        """Count a text around a number; whether it came often enough to be a template.

        Where other fields are numbers too, most texts may be met once: `log:2024:7:ID`.
        """
        met = self._met.pop(form, 0) + 1
        if met >= _SIGHTINGS:
            self._overhead -= _FORM_BYTES + len(form)
            return True
        if met == 1:
            self._overhead += _FORM_BYTES + len(form)
            if len(self._met) >= max(4, min(_PENDING_FORMS, self.max_templates // 4)):
                oldest = next(iter(self._met))
                del self._met[oldest]
                self._overhead -= _FORM_BYTES + len(oldest)
        self._met[form] = met
        return False

    def _number(self, template: Template) -> bool:
        """Give a new template its place in the code space; False when its class is full."""
        self._templates += 1
        if template.bits == _NARROW:
            if len(self._narrow) >= 65535:
                self._templates -= 1
                return False
            self._narrow.append(template)
            template.base = len(self._narrow) << 32
        elif template.bits == _MIDDLE:
            if len(self._middle) >= _MAX_MIDDLE:
                self._templates -= 1
                return False
            template.base = _MIDDLE_BASE | len(self._middle) << 40
            self._middle.append(template)
        else:
            if len(self._wide) >= _MAX_WIDE:
                self._templates -= 1
                return False
            template.base = _WIDE_BASE | len(self._wide) << 48
            self._wide.append(template)
        return True

    # ------------------------------------------------------------------ state

    def dump(self) -> dict[str, Any]:
        """Templates, decided shapes and texts as plain data, for `load`."""
        texts, refs = self.texts.dump()
        return {
            "templates": [
                [t.form, t.digits, t.bits, t.split]
                for t in (*self._narrow, *self._middle, *self._wide)
            ],
            "shapes": [
                [shape, list(known.fields), known.templates]
                for shape, known in self._shapes.items()
                if known.seen is None
            ],
            "texts": texts,
            "refs": refs,
        }

    @classmethod
    def load(cls, state: dict[str, Any], max_templates: int = 1024) -> Codec:
        """The codec that `dump` described. Raises ValueError or KeyError for other data."""
        made = cls(max_templates)
        for form, digits, bits, split in state["templates"]:
            if bits not in (_NARROW, _MIDDLE, _WIDE) or not 0 <= digits <= 12 or split > 28:
                raise ValueError("a template of an unknown form")
            template = Template(form, digits, bits, split)
            pieces = _pieces(form)
            if len(pieces) != (3 if split else 2) or _form(pieces, digits) != form:
                raise ValueError("a template of another form than its numbers")
            if not made._number(template):
                raise ValueError("too many templates")
            template.other = made._known.get(form)
            made._known[form] = template
            made._overhead += TEMPLATE_BYTES
            if digits and template.around is not None:  # `_pack` must know of it, as it did
                made._hexes.setdefault(template.around, template)
        for shape, fields, templates in state["shapes"]:
            known = made._shapes[shape] = _Shape()
            made._overhead += _SHAPE_BYTES
            known.seen, known.fields, known.templates = None, tuple(fields), templates
            digits = shape.split(b"\0")[1::2]  # of each field that may vary; 0 for an integer
            places = [at for at in range(1, 2 * len(digits) + 1, 2) if at in fields]
            if not 1 <= len(fields) <= 2 or list(fields) != places:
                raise ValueError("a shape without a varying field")
            if len(fields) == 2 and not all(digits[at // 2] == b"0" for at in fields):
                raise ValueError("a shape whose two varying fields are no integers")
        made.texts = Texts.load(state["texts"], state["refs"])
        return made


def is_packable(key: bytes) -> bool:
    """Whether a template might pack this key: there is a number in it."""
    return len(key) <= _MAX_KEY and 1 < len(_split(key)) <= 17


def _form(pieces: Iterable[bytes], digits: int) -> bytes:
    """The bytes format of a template: its text, escaped, around its numbers."""
    field = b"%%0%dx" % digits if digits else b"%d"
    return field.join([piece.replace(b"%", b"%%") for piece in pieces])


def _pieces(form: bytes) -> list[bytes]:
    """The text of a template around its numbers."""
    # no packed key has a zero byte
    return [piece.replace(b"\0", b"%") for piece in _NUMBER.split(form.replace(b"%%", b"\0"))]


def _around(pieces: list[bytes]) -> bytes | None:
    head, tail = pieces[0], pieces[-1]
    fields = head.find(b":") == len(head) - 1 and tail[:1] in (b"", b":") if head else not tail
    return head + tail if len(pieces) == 2 and fields else None


def _weight(seen: set[bytes] | None) -> int:
    return sum(_KEY_BYTES + len(key) for key in seen or ())


def _hex_digits(field: bytes) -> int:
    """0 when the field is a canonical integer, else its number of hex digits."""
    return 0 if field.isdigit() and (field[0] != 48 or len(field) == 1) else len(field)


def _split(key: bytes) -> list[bytes]:
    """Text and fields that may vary in turn, text at both ends: `[b"user:", b"42", b":cart"]`."""
    parts = _FIELD.split(key)
    if len(parts) == 1:
        parts = _TRAILING.split(key)
    at = 1
    while at < len(parts):
        field = parts[at]
        digits = _hex_digits(field)
        # words that happen to be hex digits, and what no class holds, are text
        if field.isalpha() or digits > 12 or (not digits and len(field) > 15):
            parts[at - 1 : at + 2] = [b"".join(parts[at - 1 : at + 2])]
        else:
            at += 2
    return parts


def _shape_of(parts: list[bytes]) -> bytes:
    shape = list(parts)
    for at in range(1, len(parts), 2):
        shape[at] = b"\0%d\0" % _hex_digits(parts[at])
    return b"".join(shape)


def _varying(keys: list[list[bytes]]) -> tuple[int, ...]:
    """Which fields of some keys of one shape vary: one, or two integers."""
    places = range(1, len(keys[0]), 2)
    values = {at: len({parts[at] for parts in keys}) for at in places}
    sizes = {at: max(len(parts[at]) for parts in keys) for at in places}
    digits = {at: _hex_digits(keys[0][at]) for at in places}
    order = sorted(places, key=lambda at: (values[at], digits[at], sizes[at], -at), reverse=True)
    first = order[0]
    if len(order) > 1 and not digits[first]:
        second = order[1]
        if not digits[second] and values[second] >= _SECOND_VARIES:
            return (first, second) if first < second else (second, first)
    return (first,)
