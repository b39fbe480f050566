"""Scalars as text, byte for byte as Woodpecker (and so Go) formats them."""

import math
from decimal import Decimal


def scalar_text(value: object) -> str:
    """The scalar as Go formats it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return _go_float(value)
        case _:
            return str(value)


def is_on(value: object) -> bool:
    """True if a plugin reads this value of a setting as true."""
    return scalar_text(value).lower() in {"true", "1", "yes", "on"}


def _go_float(value: float) -> str:
    """As ``%v`` prints it: the fewest digits, an exponent below 1e-4 and from 1e6 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return shortest(value, exponent_below=1e-4, exponent_from=1e6, exponent_digits=2)


def shortest(value: float, *, exponent_below: float, exponent_from: float, exponent_digits: int) -> str:
    """The shortest decimal that reads back as the same number, with an exponent outside of the two limits."""
    number = Decimal(repr(value)).normalize()
    if not value or exponent_below <= abs(value) < exponent_from:
        return f"{number:f}"
    mantissa, _, exponent = f"{number:e}".partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].rjust(exponent_digits, '0')}"
