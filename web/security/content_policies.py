"""What a browser may do with what Headway sends it: the content security policies of all answers.

Some are two policies, with a comma between: a browser then allows only what both allow. A path cannot stand behind
``'self'``, and the server may not know under which name browsers reach it: so one of the two says the own origin, and
the other the path, of any origin.
"""

_OF_PAGES = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_STATIC_ALONE = "script-src *:*/static/; style-src *:*/static/"
"""What steps have written is below other paths of the same origin, scripts and styles among it."""

PAGE_POLICY = f"{_OF_PAGES}, {_STATIC_ALONE}"
"""Of every answer that has none of its own."""

PAGE_WITH_FRAME_POLICY = f"{_OF_PAGES}; frame-src 'self', {_STATIC_ALONE}; frame-src *:*/artifact-views/"
"""Of the page that shows an artifact in a frame."""

SHOWN_ARTIFACT_POLICY = (
    "sandbox allow-scripts; default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'none'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self', "
    "default-src *:*/artifact-views/ data: blob: 'unsafe-inline' 'unsafe-eval'"
)
"""Of an artifact in that frame. It has no origin, whatever page it stands in or whether it stands alone: no cookie, no
storage, and it asks nothing but for other files of its job."""

SHOWN_ARTIFACT_CONNECTIONS = "(response-origin)"
"""Of the same, in the header ``Connection-Allowlist``: also WebRTC and look-ups of names, which no policy above covers.
Chromium obeys it; other browsers do not know it."""

DOWNLOAD_POLICY = "sandbox; default-src 'none'"
"""Of bytes that steps wrote and that browsers are to save: where one shows them anyway, they may do nothing."""
