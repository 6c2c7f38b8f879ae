"""report.html as a file: self-contained, with text from hosts escaped."""

from __future__ import annotations

import re
from pathlib import Path

from helpers.sample_records import fleet, result
from memory_leak_controller import contract
from memory_leak_controller.report import page


def test_page_is_self_contained_and_escapes_host_names(tmp_path: Path) -> None:
    hosts = [*fleet(2), contract.record("</script><script>alert(1)", "leaking", result())]
    page.write({"generated_at": "now", "operation": "status", "hosts": hosts}, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in text
    assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", text)
    assert "target (30 MiB/min)" in text
