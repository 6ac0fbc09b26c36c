"""What is wrong with a page for those who read it otherwise: axe-core, and what it cannot see."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

__all__ = ["clipped", "faults", "pale"]

_AXE = files("axe_playwright_python").joinpath("axe.min.js")
_RUN = """tags => axe.run(document, {
  runOnly: tags, resultTypes: ['violations'], rules: {'empty-table-header': {enabled: true}},
})"""
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
STREAMLITS: dict[str, tuple[str, ...]] = {
    # The column of tick boxes of `st.dataframe` has no heading, and none can be given.
    "empty-table-header": ('<th role="columnheader" aria-selected="false" aria-colindex="1"',),
}
"""Rule -> what of Streamlit's own widgets breaks it, out of reach from here: `html` begins so."""

_PALE = """() => {
  const found = [];
  const rgba = text => {
    const m = text.match(/[\\d.]+%?/g).map(parseFloat);
    const scale = text.startsWith('color(') ? 255 : 1;
    return [...m.slice(0, 3).map(v => v * scale), m.length > 3 ? m[3] : 1];
  };
  const parent = e => e.parentElement || (e.getRootNode().host ?? null);
  const ground = e => {
    for (; e; e = parent(e)) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const light = c => {
    const [r, g, b] = c.map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const look = root => {
    for (const e of root.querySelectorAll('*')) {
      if (e.shadowRoot) look(e.shadowRoot);
      if (e.tagName !== 'text' || !e.textContent.trim()) continue;
      // Plotly itself puts black or white on a coloured cell or bar.
      if (e.closest('.heatmap-label, .bartext, .hoverlayer, .textpoint')) continue;
      const box = e.getBoundingClientRect();
      const style = getComputedStyle(e);
      if (!box.width || style.visibility === 'hidden') continue;
      const fill = rgba(style.fill);
      let seen = fill[3] * parseFloat(style.fillOpacity);
      for (let p = e; p && p.tagName !== 'svg'; p = parent(p))
        seen *= parseFloat(getComputedStyle(p).opacity);
      const under = ground(e);
      const ink = [0, 1, 2].map(i => fill[i] * seen + under[i] * (1 - seen));
      const [a, b] = [light(ink), light(under)].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < 4.5) found.push(`${contrast.toFixed(2)}: ${e.textContent.slice(0, 60)}`);
    }
  };
  look(document);
  return found;
}"""

_CLIPPED = """() => {
  const found = [];
  const say = (what, e) => found.push(`${what}: ${e.textContent.trim().slice(0, 60)}`);
  const parent = e => e.parentElement || (e.getRootNode().host ?? null);
  const width = document.documentElement.clientWidth;
  const scrolls = e => /auto|scroll/.test(getComputedStyle(e).overflowX);
  const hides = e => /hidden|clip/.test(getComputedStyle(e).overflowX);
  const main = document.querySelector('[data-testid=stMain]');
  // Words, not glyphs: the icons' font hides what stands for them.
  const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
    && !/Material/.test(getComputedStyle(e).fontFamily);
  const look = root => {
    for (const e of root.querySelectorAll('*')) {
      if (e.shadowRoot) look(e.shadowRoot);
      if (e.matches('script, style, option') || !own(e)) continue;
      if (e.closest('.katex-mathml, [data-testid=stDataFrame], .hoverlayer, .spoken')) continue;
      const style = getComputedStyle(e);
      const range = document.createRange();
      const words = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
      const rects = words.flatMap(n => (range.selectNodeContents(n), [...range.getClientRects()]));
      const most = (side, pick) => pick(...rects.map(r => r[side]));
      const box = e.tagName === 'text' ? e.getBoundingClientRect() : {
        left: most('left', Math.min), right: most('right', Math.max),
        top: most('top', Math.min), bottom: most('bottom', Math.max),
        width: most('right', Math.max) - most('left', Math.min),
        height: most('bottom', Math.max) - most('top', Math.min),
      };
      if (!(box.width >= 2) || !(box.height >= 2) || style.visibility !== 'visible') continue;
      if (style.textOverflow === 'ellipsis') continue;  // says itself that it goes on
      for (let p = e; p && p !== main; p = parent(p)) {
        if (p.tagName === 'text' || p.tagName === 'g') continue;
        const clip = p.getBoundingClientRect();
        if (clip.width < 2) break;  // for screen readers alone
        if (getComputedStyle(p).position === 'fixed') break;
        if (scrolls(p)) break;
        const high = box.top < clip.top - 3 || box.bottom > clip.bottom + 3;
        const above = e.tagName === 'text' && high;
        if (hides(p) && (above || box.right > clip.right + 1.5 || box.left < clip.left - 1.5)) {
          say('cut off', e);
          break;
        }
        if (parent(p) === main || !parent(p)) {
          if (box.right > width + 1 || box.left < -1) say('outside the window', e);
        }
      }
    }
  };
  look(main);
  return [...new Set(found)];
}"""

_OVERLAPPING = """() => {
  const found = [];
  const texts = root => {
    const all = [];
    for (const svg of root.querySelectorAll('svg')) all.push(svg);
    for (const e of root.querySelectorAll('*')) if (e.shadowRoot) all.push(...texts(e.shadowRoot));
    return all;
  };
  for (const svg of texts(document)) {
    const boxes = [...svg.querySelectorAll('text')]
      .filter(e => e.textContent.trim() && getComputedStyle(e).visibility === 'visible'
        && !e.closest('.hoverlayer, .heatmap-label, .annotation'))
      .map(e => [e.textContent.trim(), e.getBoundingClientRect()])
      .filter(([, b]) => b.width > 1 && b.height > 1);
    for (let i = 0; i < boxes.length; i++)
      for (let j = 0; j < i; j++) {
        const [a, b] = [boxes[i][1], boxes[j][1]];
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 2 && high > 4) found.push(`${boxes[i][0]} over ${boxes[j][0]}`);
      }
  }
  return found;
}"""


def faults(page: Any) -> list[str]:
    """Violations of WCAG 2, level AA, that axe-core finds, but for Streamlit's own."""
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    found = []
    for rule in page.evaluate(_RUN, _TAGS)["violations"]:
        theirs = STREAMLITS.get(rule["id"], ())
        for node in rule["nodes"]:
            if not node["html"].startswith(theirs or ("\0",)):
                says = [c["message"] for c in node["any"] + node["all"] + node["none"]]
                found.append(f"{rule['id']}: {node['html'][:200]} {says[:1]} {node['target']}")
    return found


def pale(page: Any) -> list[str]:
    """Words in figures with less than 4.5 : 1 to what is behind them; axe reads no SVG."""
    return list(page.evaluate(_PALE))


def clipped(page: Any) -> list[str]:
    """Words that the edge of something cuts off, or that stand on each other in a figure."""
    return list(page.evaluate(_CLIPPED)) + list(page.evaluate(_OVERLAPPING))
