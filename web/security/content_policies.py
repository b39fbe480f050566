"""What a browser may do with what Headway sends it: the content security policies of all answers."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of every answer that has none of its own."""

PAGE_WITH_FRAME_POLICY = PAGE_POLICY + "; frame-src 'self'"
"""Of the page that shows an artifact in a frame."""

SHOWN_ARTIFACT_POLICY = (
    "sandbox allow-scripts; default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src 'none'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""Of an artifact in that frame. It has no origin, whatever page it stands in or whether it stands alone: no cookie, no
storage, and it asks nothing else."""

DOWNLOAD_POLICY = "sandbox; default-src 'none'"
"""Of bytes that steps wrote and that browsers are to save: where one shows them anyway, they may do nothing."""
