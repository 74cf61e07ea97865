"""What Schemathesis needs to know beyond public/openapi.json (schemathesis.toml)."""

import schemathesis

# What no path of a project's code may have: a backslash, control characters and invisible ones.
FORBIDDEN = r"/\\\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"


def path(quote=""):
    """A pattern of the paths that the Worker takes, up to `quote`."""
    name = rf"(?!\.[gG][iI][tT](?:/|{quote or '$'}))[^{quote}{FORBIDDEN}]*[^{quote}{FORBIDDEN}. ]"
    return rf"(?:\./+)*(?!~/|[A-Za-z]:){name}(?:/+(?:\./+)*{name})*"


def code_as_text():
    """A pattern of a map as JSON text (RFC 8259), without escapes in paths, U+0000 and lone surrogates."""
    pair = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    escape = r'\\["\\/bfnrt]|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4}'
    content = rf'(?:[^"\\\u0000-\u001f]|{escape}|{pair})*'
    space = r"[ \t\r\n]*"
    quote = '"'
    file = rf'"{path(quote)}"{space}:{space}"{content}"{space}'
    return rf"^{space}\{{{space}(?:{file}(?:,{space}{file})*)?\}}{space}$"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Tells the rules of a project's code by patterns, so that most of what is made is taken."""
    as_object, as_text = raw_schema["components"]["schemas"]["Code"]["anyOf"]
    as_object["maxProperties"] = 2000
    as_object["propertyNames"] = {"type": "string", "pattern": f"^{path()}$", "maxLength": 240}
    as_text["pattern"] = code_as_text()


def has_nul(value):
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(has_nul, value))
    if isinstance(value, dict):
        return any(has_nul(key) or has_nul(item) for key, item in value.items())
    return False


@schemathesis.hook
def filter_body(context, body):
    """No text of a body has U+0000, be it in a field that nobody reads."""
    return not has_nul(body)
