"""SQL that turns cells into URLs: removes quotes, decodes HTML entities, completes the scheme, splits several URLs.

Most cells are one plainly written URL and are used as they are; only the others are examined more closely (0.7 M
cells: 0.06 s).
"""

from __future__ import annotations

#: Separates the URLs of one cell until each has a row of its own.
PART_MARK = "\x1f"

#: Completed with https: `//host/path`, and `host.tld/path`; a bare file name or a folder without a dot is neither.
_WITHOUT_SCHEME = (
    r"^(?://[[:alnum:]_-]+\.|(?:[[:alnum:]](?:[[:alnum:]_-]*[[:alnum:]])?\.)+[A-Za-z]{2,}(?::[0-9]{1,5})?/[^[:space:]])"
)
_SEPARATORS = r"\s*(?:[|;,]|<br ?/?>|\s/\s)\s*((?i:https?:)?//[[:alnum:]\[])|\s+((?i:https?://))"
_URLS_IN_QUOTES = r"""["''](\s*(?i:https?:)?//[^"'']+)["'']"""
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "''"), ("&#39;", "''"), ("&#x27;", "''"),
             ("&#x2F;", "/"), ("&#47;", "/"), ("&#38;", "&"), ("&#x26;", "&"), ("&amp;", "&"))  # fmt: skip


def _decoded() -> str:
    text = "cell"
    for entity, character in _ENTITIES:
        text = f"replace({text}, '{entity}', '{character}')"
    return f"CASE WHEN contains(cell, '&') AND contains(cell, ';') THEN {text} ELSE cell END"


#: `url_of_cell(cell)`: a trimmed cell as one URL, or as several, separated by `PART_MARK`. A macro writes its argument
#: out wherever it uses it; a lambda takes the value, so that the steps do not multiply (0.1 s of planning a query).
URL_MACROS = rf"""
CREATE OR REPLACE TEMP MACRO is_plain_url(cell) AS
    starts_with(cell, 'http') AND NOT contains(cell, '&') AND NOT contains(substring(cell, 9), '//');
CREATE OR REPLACE TEMP MACRO without_quotes(cell) AS
    CASE WHEN regexp_matches(cell, '^["''<`“”„«‘]') THEN trim(cell, ' "''<>`“”„«»‘’') ELSE cell END;
CREATE OR REPLACE TEMP MACRO without_entities(cell) AS {_decoded()};
CREATE OR REPLACE TEMP MACRO lacks_scheme(cell) AS
    NOT starts_with(cell, 'http') AND regexp_matches(cell, '{_WITHOUT_SCHEME}');
CREATE OR REPLACE TEMP MACRO with_scheme(cell) AS
    CASE WHEN NOT lacks_scheme(cell) THEN cell WHEN starts_with(cell, '//') THEN 'https:' || cell
         ELSE 'https://' || cell END;
CREATE OR REPLACE TEMP MACRO one_url(cell) AS
    list_transform([without_entities(without_quotes(cell))], lambda bare: with_scheme(bare))[1];
CREATE OR REPLACE TEMP MACRO marked(cell) AS
    CASE WHEN contains(substring(cell, 3), '//') AND regexp_matches(cell, '^(?i:https?:)?//') THEN
        regexp_replace(cell, '{_SEPARATORS}', '{PART_MARK}\1\2', 'g') ELSE cell END;
CREATE OR REPLACE TEMP MACRO marked_url(cell) AS list_transform([one_url(cell)], lambda url: marked(url))[1];
CREATE OR REPLACE TEMP MACRO urls_in_quotes(cell) AS
    nullif(array_to_string(regexp_extract_all(cell, '{_URLS_IN_QUOTES}', 1), '{PART_MARK}'), '');
CREATE OR REPLACE TEMP MACRO urls_in_brackets(cell) AS
    CASE WHEN regexp_matches(cell, '^[\[{{]\s*(?i:https?:)?//.*[\]}}]$')
         THEN marked_url(trim(cell, '[]{{}} ')) END;
CREATE OR REPLACE TEMP MACRO url_of_cell(cell) AS
    CASE WHEN is_plain_url(cell) THEN cell
         WHEN starts_with(cell, '[') OR starts_with(cell, '{{') THEN
              coalesce(urls_in_quotes(cell), urls_in_brackets(cell), cell)
         ELSE nullif(marked_url(cell), '') END;
"""
