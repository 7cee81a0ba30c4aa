"""Answers as one HTML page that opens from disk: figures and equations are inside it."""

from __future__ import annotations

import base64
import html
import io
import platform
from collections.abc import Sequence
from pathlib import Path
from string import Template

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import minigrad
from experiments.question import Answer, Setting, Verdict

__all__ = ["equation", "write_page"]

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The section's claims, checked</title>
<style>
  :root { color-scheme: light; }
  body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
         max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  h1 { line-height: 1.2; }
  h2 { margin-top: 3.5rem; border-top: 1px solid #ccc; padding-top: 1.5rem; }
  h2 code { font-size: 1rem; color: #555; display: block; font-weight: normal; }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0;
           border-bottom: 1px solid #ddd; }
  th { border-bottom: 2px solid #1a1a1a; }
  td.verdict { white-space: nowrap; font-weight: 600; }
  td.verdict::before { display: inline-block; width: 1.2em; }
  .holds::before { content: "●"; color: #0072b2; }
  .in-part::before { content: "◐"; color: #7a5c00; }
  .fails::before { content: "○"; color: #d55e00; }
  .remark { color: #555; display: block; }
  img.figure { max-width: 100%; height: auto; display: block; margin: 1rem 0; }
  img.equation { display: block; margin: .8rem 0 .8rem 1.5rem; max-width: 100%; }
  pre { background: #f6f6f6; padding: 1rem; overflow-x: auto; font-size: .8rem; line-height: 1.35; }
  footer { margin-top: 3rem; color: #555; font-size: .9rem; }
</style>
<h1>The section's claims, checked</h1>
<p>What the textbook's section on Adam and Yogi claims, what papers behind it claim, and what a
reader may conclude; the number that an experiment gave, and what follows. A claim <b>holds</b>,
holds <b>in part</b>, or <b>fails</b>; the rule that decides is in the script of the experiment's
name.</p>
<div class="scroll"><table>
<tr><th>verdict<th>claim<th>by<th>number<th>experiment
$rows
</table></div>
$sections
<footer>$footer</footer>
</html>
""")

SECTION = Template("""<h2 id="$name">$asks<code>python -m experiments $name</code></h2>
$equations
<table>
$verdicts
</table>
$pictures
<details><summary>The numbers</summary><pre>$table</pre></details>
""")


def write_page(folder: Path, answers: Sequence[Answer], setting: Setting) -> Path:
    """Write ``claims.html`` into an existing folder; it appears there when it is whole.

    Parameters
    ----------
    folder : Path
        Where to.
    answers : sequence of Answer
        Their figures are read from their files.
    setting : Setting
        For the foot of the page.

    Returns
    -------
    Path
        The page.
    """
    size = "reduced size" if setting.reduced else "full size"
    footer = (
        f"{setting.data.source}. Seed {setting.seed}, {size}, "
        f"{sum(answered.seconds for answered in answers):.0f} s. minigrad {minigrad.__version__}, "
        f"NumPy {np.__version__}, Python {platform.python_version()}."
    )
    page = PAGE.substitute(
        rows="\n".join(_row(v, answered.name) for answered in answers for v in answered.verdicts),
        sections="\n".join(_section(answered) for answered in answers),
        footer=html.escape(footer),
    )
    path, temporary = folder / "claims.html", folder / ".claims.html"
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def equation(tex: str) -> bytes:
    r"""Return an equation, in TeX as matplotlib takes it, as an SVG picture.

    Examples
    --------
    >>> equation(r"\hat s_t = s_t / (1 - \beta_2^t)").lstrip().startswith(b"<?xml")
    True
    """
    picture = io.BytesIO()
    figure = Figure(figsize=(0.1, 0.1))
    figure.text(0, 0, f"${tex}$", fontsize=13)
    with mpl.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "minigrad"}):
        figure.savefig(
            picture, format="svg", bbox_inches="tight", pad_inches=0.02, transparent=True,
            metadata={"Date": None},
        )  # fmt: skip
    return picture.getvalue()


def _row(verdict: Verdict, name: str) -> str:
    return (
        f"<tr>{_verdict_cell(verdict)}<td>{html.escape(verdict.claim)}<td>{verdict.source}"
        f'<td>{html.escape(verdict.number)}<td><a href="#{name}">{name}</a>'
    )


def _verdict_cell(verdict: Verdict) -> str:
    kind = verdict.verdict.replace(" ", "-")
    return f'<td class="verdict {kind}">{verdict.verdict}'


def _section(answered: Answer) -> str:
    verdicts = []
    for verdict in answered.verdicts:
        remark = f'<span class="remark">{html.escape(verdict.remark)}</span>'
        verdicts.append(
            f"<tr>{_verdict_cell(verdict)}<td>{html.escape(verdict.claim)}"
            f"{remark if verdict.remark else ''}<td>{html.escape(verdict.number)}"
        )
    pictures = [_figure(answered.figure, f"Figure: {answered.asks}", "png")]
    if answered.animation is not None:
        pictures.append(_figure(answered.animation, f"Animation: {answered.asks}", "gif"))
    return SECTION.substitute(
        name=answered.name,
        asks=html.escape(answered.asks),
        equations="\n".join(
            _image(equation(tex), "svg+xml", "equation", tex) for tex in answered.equations
        ),
        verdicts="\n".join(verdicts),
        pictures="\n".join(pictures),
        table=html.escape(answered.table),
    )


def _figure(path: Path, alt: str, kind: str) -> str:
    return _image(path.read_bytes(), kind, "figure", alt)


def _image(content: bytes, kind: str, of: str, alt: str) -> str:
    data = base64.b64encode(content).decode("ascii")
    return f'<img class="{of}" alt="{html.escape(alt)}" src="data:image/{kind};base64,{data}">'
