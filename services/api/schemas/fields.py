"""Fields that say what is wrong in the words of the Oasis platform. Source: oasis_api.md sections 0 and 4."""

import re
from abc import abstractmethod
from typing import Any, TypeVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields

from services.api.errors import BadRequest
from services.api.http import Form, is_storable

T = TypeVar("T")

MESSAGES = {"required": "This field is required.", "null": "This field may not be null."}
LARGEST_INTEGER = 2**31 - 1
LARGEST_ID = 2**63 - 1
LONGEST_GROUP = 150
_ID_DIGITS = 19
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,40}")


def load(schema: type[Schema], data: Any, *, partial: bool = False) -> dict[str, Any]:
    """The valid values of a request. Unknown keys are ignored. Raises BadRequest with a list of texts per field."""
    if not isinstance(data, dict):
        text = f"Invalid data. Expected a dictionary, but got {type(data).__name__}."
        raise BadRequest({"non_field_errors": [text]})
    fitting = schema(unknown=EXCLUDE)
    given = _of_form(fitting, data) if isinstance(data, Form) else data
    try:
        values: dict[str, Any] = fitting.load(given, partial=partial)
    except ValidationError as error:
        raise BadRequest(error.messages) from error
    return values


def _of_form(schema: Schema, form: Form) -> dict[str, Any]:
    """What a form means, which has texts alone: an empty field is no value, or null where there may be none."""
    values: dict[str, Any] = {}
    for name in schema.fields.keys() & form.keys():
        field = schema.fields[name]
        if isinstance(field, PkList | NameList):
            values[name] = [text for text in form.several[name] if text.strip()]
        elif isinstance(field, Text) or form[name].strip():
            values[name] = form[name]
        elif field.allow_none:
            values[name] = None
    return values


class Checked(fields.Field[T]):
    """A field that says what is missing, and leaves the rest to `accept`."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(error_messages=dict(MESSAGES), **rest)

    @abstractmethod
    def accept(self, value: Any) -> T:
        """The value that a request holds. Raises ValidationError."""

    def _deserialize(self, value: Any, *_args: Any, **_kwargs: Any) -> T:
        return self.accept(value)


class Text(Checked[str]):
    """Trimmed text of at most `longest` characters."""

    def __init__(self, *, longest: int = 255, blank: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.longest = longest
        self.blank = blank

    def accept(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValidationError("Not a valid string.")
        text = str(value).strip()
        if not text and not self.blank:
            raise ValidationError("This field may not be blank.")
        if len(text) > self.longest:
            raise ValidationError(f"Ensure this field has no more than {self.longest} characters.")
        if not is_storable(text):
            raise ValidationError("Null characters are not allowed.")
        return text


class Number(Checked[int]):
    """A whole number, as such or as text."""

    def __init__(self, *, least: int, most: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.least = least
        self.most = most

    def accept(self, value: Any) -> int:
        number = as_whole_number(value)
        if number is None:
            raise ValidationError("A valid integer is required.")
        if number < self.least:
            raise ValidationError(f"Ensure this value is greater than or equal to {self.least}.")
        if number > self.most:
            raise ValidationError(f"Ensure this value is less than or equal to {self.most}.")
        return number


class StrictNumber(Checked[int]):
    """A whole number of a configuration; text is refused."""

    def __init__(self, *, least: int, most: int = LARGEST_INTEGER, **rest: Any) -> None:
        super().__init__(**rest)
        self.least = least
        self.most = most

    def accept(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError(f"Value is not type int, found {type(value)}")
        if value < 0 and self.least > 0:
            raise ValidationError("Ensure this value is greater than or equal to 0.")
        if value < self.least:
            raise ValidationError("Value is less than one." if self.least else "Value is less than zero.")
        if value > self.most:
            raise ValidationError(f"Ensure this value is less than or equal to {self.most}.")
        return value


class Choice(Checked[str]):
    """One of a few words."""

    def __init__(self, choices: tuple[str, ...], **rest: Any) -> None:
        super().__init__(**rest)
        self.choices = choices

    def accept(self, value: Any) -> str:
        if value not in self.choices:
            raise ValidationError(f'"{value}" is not a valid choice.')
        return str(value)


class Pk(Checked[int]):
    """The id of an object; whether it exists is asked later."""

    def accept(self, value: Any) -> int:
        return as_pk(value)


class PkList(Checked[list[int]]):
    """Ids of objects; whether they exist is asked later."""

    def accept(self, value: Any) -> list[int]:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise ValidationError(f'Expected a list of items but got type "{type(value).__name__}".')
        return list(dict.fromkeys(as_pk(each) for each in value))


class NameList(Checked[list[str]]):
    """Names of groups; whether they exist is asked later."""

    def accept(self, value: Any) -> list[str]:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise ValidationError(f'Expected a list of items but got type "{type(value).__name__}".')
        return [_group_name(each) for each in value]


class Document(Checked[dict[str, Any]]):
    """A JSON object that is checked elsewhere."""

    def accept(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError(f"Invalid data. Expected a dictionary, but got {type(value).__name__}.")
        return value


def _group_name(value: Any) -> str:
    name = value.strip() if isinstance(value, str) else ""
    if not 0 < len(name) <= LONGEST_GROUP or not is_storable(name) or not name.isprintable():
        raise ValidationError("Invalid value.")
    return name


def as_whole_number(value: Any) -> int | None:
    """The number of a JSON number or a text of digits; None where it is none."""
    if isinstance(value, str):
        return int(value) if _WHOLE_NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_id(text: str) -> int | None:
    """The id that a text of digits names; None where there can be no such row."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS else None
    return number if number is not None and number <= LARGEST_ID else None


def as_pk(value: Any) -> int:
    """The id. Raises ValidationError where there can be no such object."""
    number = as_whole_number(value)
    if number is None:
        raise ValidationError(f"Incorrect type. Expected pk value, received {type(value).__name__}.")
    if not 0 < number <= LARGEST_ID:
        raise ValidationError(f'Invalid pk "{value}" - object does not exist.')
    return number
