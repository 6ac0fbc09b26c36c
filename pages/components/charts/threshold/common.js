// Shared by the components of this folder: put before each of them.
const SVG = "http://www.w3.org/2000/svg"
// The histogram tells of each move of its line (MOVED); the server's word arrives with the table,
// which passes it on (SETTLED). Both carry channel, value and counts, in the order of the sets.
const MOVED = "ood-lens-moved"
const SETTLED = "ood-lens-settled"
// A level that another part of the page has moved: `level` and its text.
const LEVEL = "ood-lens-level"
const latest = (window.__oodLens = window.__oodLens || {})

const tell = (event, detail) => window.dispatchEvent(new CustomEvent(event, { detail }))

// What the server said last on this channel: a component that was not redrawn since holds old data.
function newest(d) {
  const known = latest[d.channel]
  if (!known || known.id !== d.id || known.seq < d.seq)
    latest[d.channel] = { id: d.id, seq: d.seq, value: d.threshold, counts: d.accepted }
  return latest[d.channel]
}

const node = (name, attributes, parent, text) => {
  const el = document.createElementNS(SVG, name)
  for (const k in attributes) el.setAttribute(k, attributes[k])
  if (text !== undefined) el.textContent = text
  if (parent) parent.appendChild(el)
  return el
}
const numbers = new Intl.NumberFormat("en-US")
const count = (n) => numbers.format(n)
const percent = (k, n) => (n ? ((100 * k) / n).toFixed(2) + " %" : "–")
const short = (v) => {
  if (v === 0 || !Number.isFinite(v)) return String(v)
  const a = Math.abs(v)
  return (a >= 1e5 || a < 1e-3 ? v.toExponential(3) : String(+v.toPrecision(5))).replaceAll("-", "−")
}

function ticks(low, high, wanted) {
  const span = high - low
  if (!(span > 0)) return [low]
  const raw = span / wanted
  const power = Math.pow(10, Math.floor(Math.log10(raw)))
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw)
  const out = []
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) out.push(+(k * step).toPrecision(12))
  return out
}

function nearest(grid, value) {
  let a = 0
  let b = grid.length - 1
  while (b - a > 1) {
    const m = (a + b) >> 1
    if (grid[m] <= value) a = m
    else b = m
  }
  return value - grid[a] <= grid[b] - value ? a : b
}

// The figure by itself: styles written into it, white ground, black ink, with its legend and,
// where the page shows it beside the figure, its title.
function standalone(svg, legend, width, height, title) {
  const copy = svg.cloneNode(true)
  const from = svg.querySelectorAll("*")
  copy.querySelectorAll("*").forEach((el, k) => {
    const style = getComputedStyle(from[k])
    const ink = getComputedStyle(svg).color
    for (const name of ["fill", "stroke", "fill-opacity", "stroke-opacity", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "visibility", "display"]) {
      let value = style.getPropertyValue(name)
      if ((name === "fill" || name === "stroke") && value === ink) value = "#000"
      el.style.setProperty(name, value)
    }
    if (el.tagName === "text") el.style.setProperty("font-family", "Helvetica, Arial, sans-serif")
  })
  let x = 52
  let y = height + 6
  for (const { colour, text } of legend) {
    const wide = 28 + text.length * 6.2
    if (x > 52 && x + wide > width) {
      x = 52
      y += 16
    }
    node("rect", { x, y, width: 10, height: 10, fill: colour }, copy)
    node("text", { x: x + 14, y: y + 9, style: "font: 11px Helvetica, Arial, sans-serif" }, copy, text)
    x += wide
  }
  const above = title ? 24 : 0
  if (title) node("text", { x: 0, y: -10, style: "font: 600 13px Helvetica, Arial, sans-serif" }, copy, title)
  const full = y + 18 + above
  copy.setAttribute("xmlns", SVG)
  copy.setAttribute("width", width)
  copy.setAttribute("height", full)
  copy.setAttribute("viewBox", `0 ${-above} ${width} ${full}`)
  copy.insertBefore(node("rect", { y: -above, width, height: full, fill: "#fff" }), copy.firstChild)
  return new XMLSerializer().serializeToString(copy)
}

function save(name, type, text) {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([text], { type }))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
}

function escape_(text) {
  const span = document.createElement("span")
  span.textContent = text
  return span.innerHTML
}

const csvText = (t) => `"${String(t).replaceAll('"', '""')}"`

// Buttons that choose one of several, in one frame.
function choiceHtml(name, label, choices, chosen) {
  const buttons = choices
    .map(([v, t]) => `<button type="button" data-name="${name}" data-value="${v}" aria-pressed="${chosen === v}">${t}</button>`)
    .join("")
  return `<span class="set" role="group" aria-label="${label}">${buttons}</span>`
}

// Words in the room that there is, by an estimate of `wide` pixels a letter: what stands behind the
// last colon or in the last brackets goes first, and is still told on hovering and to be heard.
function fitted(text, words, room, wide) {
  const fewer = [words, words.replace(/\s*\([^()]*\)$/, ""), words.replace(/[:(,].*$/, "").trim()]
  const shown = fewer.find((t) => t.length * wide <= room) || fewer[2]
  text.textContent = shown.length * wide <= room ? shown : `${shown.slice(0, Math.max(4, Math.floor(room / wide) - 1))}…`
  if (text.textContent !== words) node("title", {}, text, words)
}

// Title of the horizontal axis: in the middle of the plot, or of the figure where it needs more.
function titleBelow(svg, W, H, middle, words) {
  const half = 3.1 * words.length
  const x = middle + half > W || middle - half < 0 ? W / 2 : middle
  fitted(node("text", { x, y: H - 5, "text-anchor": "middle", class: "title" }, svg), words, W, 6.1)
}

// Grid, marks and titles around the plot: `xs` and `ys` are [pixel, text] of each mark.
function axes(svg, { W, H, M, xs, ys, x_title, y_title, heading }) {
  const bottom = H - M.bottom
  const grid = node("g", { class: "grid" }, svg)
  const axis = node("g", { class: "axis" }, svg)
  for (const [at, text] of ys) {
    const y = Math.round(at)
    node("line", { x1: M.left, x2: W - M.right, y1: y, y2: y }, grid)
    node("text", { x: M.left - 6, y: y + 4, "text-anchor": "end" }, axis, text)
  }
  for (const [at, text] of xs) {
    const x = Math.round(at)
    const wide = x + 3.2 * String(text).length > W // would be cut at the edge
    node("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4 }, axis)
    node("text", { x, y: bottom + 16, "text-anchor": wide ? "end" : "middle" }, axis, text)
  }
  node("line", { x1: M.left, x2: W - M.right, y1: bottom, y2: bottom }, axis)
  if (heading) fitted(node("text", { x: M.left, y: 12, class: "heading" }, svg), heading, W - M.left, 7)
  titleBelow(svg, W, H, (M.left + W - M.right) / 2, x_title)
  node("text", { x: 0, y: 0, "text-anchor": "middle", class: "title", transform: `translate(11 ${(M.top + bottom) / 2}) rotate(-90)` }, svg, y_title)
}

// Colour, name and, where known, number of images of each set.
function legendHtml(sets) {
  const n = (s) => (s.n === undefined ? "" : ` <span style="opacity:.72">${count(s.n)}</span>`)
  return sets.map((s) => `<span><i style="background:${s.colour}"></i>${escape_(s.name)}${n(s)}</span>`).join("")
}

// Show the tip beside the pointer, on the side where there is room.
function showTip(tip, root, event, html) {
  tip.innerHTML = html
  tip.hidden = false
  const box = root.querySelector(".wrap").getBoundingClientRect()
  const x = event.clientX - box.left
  const w = tip.offsetWidth
  tip.style.left = `${x + 14 + w > box.width ? Math.max(0, x - w - 14) : x + 14}px`
  tip.style.top = `${event.clientY - box.top + 12}px`
}

// Draw a component again when the element that it draws into has another width.
function watchWidth(component, element) {
  const observer = new ResizeObserver(() => {
    const w = element.clientWidth
    if (component.data && w && Math.abs(w - component.width) > 1) component.draw()
  })
  observer.observe(element)
  return observer
}

// One instance per mounted component; Streamlit calls the default export again on every change.
function mounted(instances, Kind) {
  return (component) => {
    const root = component.parentElement
    let instance = instances.get(root)
    if (!instance) instances.set(root, (instance = new Kind(root)))
    instance.update({ ...component, data: component.data[0] })
    return () => {
      instance.close()
      instances.delete(root)
    }
  }
}

