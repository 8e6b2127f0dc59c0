"""
The report as one static page: no other file, no network, no markup that comes from a case.

The results stand in a block of JSON in which `<` is escaped, so that no text can end the block; the script puts them into the page
as text. The policy of the page allows its own style and script by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p class="verdict {grade}">{verdict}</p>
<p>{line}</p>
<p>{counts}</p>
<details{open}><summary>{faults_count} reasons why not</summary><ul>{faults}</ul></details>
<div class="filters">
<input id="text" type="search" placeholder="id, words of a requirement, a case" aria-label="search">
<select id="level" aria-label="level"><option value="">every level</option><option>MUST</option><option>SHOULD</option><option>MAY</option></select>
<select id="grade" aria-label="grade"><option value="">every grade</option><option>fail</option><option>error</option><option>known_failing</option><option>pass-nonstrict</option><option>pass</option><option>not_applicable</option><option>untested</option></select>
<span id="count"></span>
</div>
</header>
<main>
<div id="detail" aria-live="polite"></div>
<table>
<thead><tr id="head"><th>id</th><th>level</th><th>requirement</th></tr></thead>
<tbody id="rows"></tbody>
</table>
<noscript><p>The table needs JavaScript; results.json and matrix.md have the same.</p></noscript>
</main>
<script id="results" type="application/json">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(results: dict[str, Any]) -> str:
    """The page of a document of results.py."""
    style = (_HERE / "report_page.css").read_text(encoding="utf-8")
    script = (_HERE / "report_page.js").read_text(encoding="utf-8")
    faults = results["faults"]
    counts = ", ".join(f"{count} {name}" for name, count in results["counts"].items() if count)
    return _PAGE.format(
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
        title=html.escape(f"Conformance of {results['target']['name']}"),
        style=style,
        grade="pass" if results["conformant"] else "fail",
        verdict="CONFORMANT" if results["conformant"] else "not conformant",
        line=html.escape(results["line"]),
        counts=html.escape(counts or "nothing ran"),
        open=" hidden" if not faults else "",
        faults_count=len(faults),
        faults="".join(f"<li>{html.escape(each)}</li>" for each in faults[:500]),
        data=json_block(results),
        script=script,
    )


def json_block(value: Any) -> str:
    """JSON for a script element: whatever its texts hold, none of them ends the element or opens a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
