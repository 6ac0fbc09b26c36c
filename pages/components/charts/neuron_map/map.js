// Class x neuron contributions as a picture of cells. Drag across to look closer, double-click to
// come back, click a cell (or Enter on it) to take its neuron. Zooming asks nothing of the server.
const instances = new WeakMap()
const M = { top: 8, bottom: 42, right: 78 }

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
const signed = (v) => (v < 0 ? "−" : "+") + Math.abs(v).toFixed(3)

// 256 shades between the given [place, "#rrggbb"] stops.
function shades(stops) {
  const rgb = stops.map(([at, hex]) => [at, ...[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16))])
  return Array.from({ length: 256 }, (_, i) => {
    const t = i / 255
    const k = Math.max(1, rgb.findIndex(([at]) => at >= t))
    const share = (t - rgb[k - 1][0]) / (rgb[k][0] - rgb[k - 1][0])
    return [1, 2, 3].map((j) => Math.round(rgb[k - 1][j] + share * (rgb[k][j] - rgb[k - 1][j])))
  })
}

class NeuronMap {
  constructor(root) {
    this.root = root
    this.plot = root.querySelector(".plot")
    this.tip = root.querySelector(".tip")
    this.spoken = root.querySelector(".spoken")
    this.observer = watchWidth(this, this.plot)
  }

  update(component) {
    this.send = component.setTriggerValue
    const d = component.data
    const picture = [d.values, d.removed, d.id, d.shades].join("|")
    if (picture !== this.picture) {
      this.picture = picture
      this.values = new Float32Array(bytes(d.values).buffer)
      this.removed = d.removed ? bytes(d.removed) : null
      this.image = this.paint(d)
    }
    if (!this.data || this.data.id !== d.id) this.window = d.window || [0, d.columns.length]
    this.data = d
    this.draw()
  }

  // One pixel a cell. A cell of which nothing is kept goes 85 % of the way to the shade of zero.
  paint(d) {
    const [w, h] = [d.columns.length, d.labels.length]
    const canvas = document.createElement("canvas")
    canvas.width = w
    canvas.height = h
    const context = canvas.getContext("2d")
    const pixels = context.createImageData(w, h)
    const table = shades(d.shades)
    const zero = table[128]
    for (let i = 0; i < w * h; i++) {
      const at = Math.round(127.5 * (1 + this.values[i] / (d.limit || 1)))
      const veil = this.removed && this.removed[i] === 100 ? 0.85 : 0
      const shade = table[Math.min(Math.max(at, 0), 255)]
      for (let j = 0; j < 3; j++) pixels.data[4 * i + j] = shade[j] + veil * (zero[j] - shade[j])
      pixels.data[4 * i + 3] = 255
    }
    context.putImageData(pixels, 0, 0)
    return canvas.toDataURL()
  }

  draw() {
    const d = this.data
    const W = (this.width = this.plot.clientWidth || 600)
    const H = d.height
    const left = (this.leftEdge = 34 + Math.min(158, 6.9 * Math.max(...d.labels.map((l) => l.length))))
    const [from, to] = this.window
    const [rows, columns] = [d.labels.length, d.columns.length]
    const inner = (this.inner = Math.max(W - left - M.right, 40))
    const tall = H - M.top - M.bottom
    this.cell = [inner / (to - from), tall / rows]
    const [cw, ch] = this.cell
    const focused = this.svg && this.root.getRootNode().activeElement === this.svg
    const pointed = this.svg ? this.svg.getAttribute("class") || "" : ""
    const svg = node("svg", { class: pointed, viewBox: `0 0 ${W} ${H}`, height: H, role: "application", tabindex: 0, "aria-label": `${d.title}. ${rows} classes, ${columns} columns. Arrow keys read cells, plus and minus look closer and back, Enter takes the neuron.` })
    const clip = node("clipPath", { id: "inside" }, node("defs", {}, svg))
    node("rect", { x: left, y: M.top, width: inner, height: tall }, clip)
    const cells = node("g", { "clip-path": "url(#inside)" }, svg)
    node("image", { class: "cells", href: this.image, x: left - from * cw, y: M.top, width: columns * cw, height: tall, preserveAspectRatio: "none" }, cells)
    for (const k of d.marked) node("rect", { class: "marked", x: left + (k - from) * cw, y: M.top, width: cw, height: tall }, cells)
    this.cursorBox = node("rect", { class: "cursor", width: cw, height: ch, visibility: "hidden" }, cells)
    this.windowBox = node("rect", { class: "window", y: M.top, height: tall, visibility: "hidden" }, cells)
    node("rect", { class: "frame", x: left, y: M.top, width: inner, height: tall }, svg)
    this.axes(svg, left, inner, tall, cw, ch, from, to)
    this.bar(svg, W, tall)
    if (this.svg) this.svg.replaceWith(svg)
    else this.plot.appendChild(svg)
    this.svg = svg
    if (focused) svg.focus({ preventScroll: true })
    this.root.querySelector(".heading").textContent = d.title
    this.saving()
    this.bind()
  }

  axes(svg, left, inner, tall, cw, ch, from, to) {
    const d = this.data
    const axis = node("g", { class: "axis" }, svg)
    const every = Math.ceil(13 / ch)
    d.labels.forEach((label, r) => {
      if (r % every) return
      const shown = label.length > 24 ? `${label.slice(0, 23)}…` : label
      node("text", { x: left - 6, y: M.top + (r + 0.5) * ch + 4, "text-anchor": "end" }, axis, shown)
    })
    const longest = Math.max(...d.columns.map((c) => Math.min(c.length, 12)))
    const step = Math.max(1, Math.ceil((longest * 6.5 + 10) / cw))
    for (let k = from; k < to; k += step) {
      const x = left + (k - from + 0.5) * cw
      node("line", { x1: x, x2: x, y1: M.top + tall, y2: M.top + tall + 4 }, axis)
      const c = d.columns[k]
      node("text", { x, y: M.top + tall + 16, "text-anchor": "middle" }, axis, c.length > 12 ? `${c.slice(0, 11)}…` : c)
    }
    const y = M.top + tall / 2
    const part = to - from < d.columns.length ? ` (columns ${count(from + 1)} to ${count(to)} of ${count(d.columns.length)})` : ""
    titleBelow(svg, this.width, d.height - 1, left + inner / 2, d.x_title + part)
    node("text", { x: 0, y: 0, "text-anchor": "middle", class: "title", transform: `translate(11 ${y}) rotate(-90)` }, svg, "class")
  }

  bar(svg, W, tall) {
    const d = this.data
    const gradient = node("linearGradient", { id: "shades", x1: 0, x2: 0, y1: 1, y2: 0 }, svg)
    for (const [at, colour] of d.shades) node("stop", { offset: at, "stop-color": colour }, gradient)
    const x = W - M.right + 12
    node("rect", { x, y: M.top, width: 10, height: tall, style: "fill:url(#shades)" }, svg)
    const axis = node("g", { class: "axis" }, svg)
    for (const [v, text] of this.marks()) node("text", { x: x + 14, y: M.top + tall * (0.5 - v / (2 * d.limit || 1)) + 4 }, axis, text)
    node("text", { x: 0, y: 0, "text-anchor": "middle", class: "title", transform: `translate(${W - 4} ${M.top + tall / 2}) rotate(-90)` }, svg, "contribution, logit units")
  }

  // Where colours stand on their scale; its ends say so when some cells go beyond them.
  marks() {
    const { limit, beyond } = this.data
    const inner = ticks(-limit, limit, 5).filter((v) => !beyond || Math.abs(v) < 0.85 * limit)
    const end = (v) => [v, (v < 0 ? "≤ " : "≥ ") + short(+v.toPrecision(2))]
    return [...inner.map((v) => [v, short(v)]), ...(beyond ? [end(-limit), end(limit)] : [])]
  }

  at(event) {
    const box = this.svg.getBoundingClientRect()
    const x = ((event.clientX - box.left) / box.width) * this.width - this.leftEdge
    const y = event.clientY - box.top - M.top
    const [from, to] = this.window
    const column = Math.min(Math.max(from + Math.floor(x / this.cell[0]), from), to - 1)
    const row = Math.min(Math.max(Math.floor(y / this.cell[1]), 0), this.data.labels.length - 1)
    return { row, column, inside: x >= 0 && x <= this.inner && y >= 0 && y <= this.cell[1] * this.data.labels.length }
  }

  words({ row, column }) {
    const d = this.data
    const i = row * d.columns.length + column
    const entries = d.sizes[0][row] * d.sizes[1][column] // the last bins are smaller
    const what = entries === 1 ? "contribution" : `strongest of ${entries}`
    const share = this.removed ? this.removed[i] : 0
    const gone = !share ? "" : share === 100 ? ", removed by LINe" : `, ${share} % removed by LINe`
    return [`neuron ${d.columns[column]}, class ${d.labels[row]}`, `${what} ${signed(this.values[i])}${gone}`]
  }

  show(place) {
    const [cw, ch] = this.cell
    this.cursorBox.setAttribute("x", this.leftEdge + (place.column - this.window[0]) * cw)
    this.cursorBox.setAttribute("y", M.top + place.row * ch)
    this.cursorBox.setAttribute("visibility", "visible")
    const [what, value] = this.words(place)
    this.tip.innerHTML = `<div>${escape_(what)}</div><div>${escape_(value)}</div>`
    this.tip.hidden = false
    const x = this.leftEdge + (place.column - this.window[0] + 1) * cw
    const w = this.tip.offsetWidth
    this.tip.style.left = `${x + 10 + w > this.width ? x - cw - w - 10 : x + 10}px`
    this.tip.style.top = `${M.top + place.row * ch + 34}px`
  }

  hide() {
    this.tip.hidden = true
    this.cursorBox.setAttribute("visibility", "hidden")
  }

  // The focus ring is for the keyboard.
  pointed(yes) {
    this.svg.classList.toggle("pointed", yes)
  }

  // Shown at once; the server keeps it for the address.
  look(from, to) {
    const same = from === this.window[0] && to === this.window[1]
    this.window = [from, to]
    this.draw()
    const all = from === 0 && to === this.data.columns.length
    if (!same) this.send("looked", all ? [] : [from, to])
  }

  // Half or twice as many columns, about the cell that the keys are on.
  zoom(closer) {
    const most = this.data.columns.length
    const [from, to] = this.window
    const size = Math.min(most, Math.max(1, closer ? Math.ceil((to - from) / 2) : 2 * (to - from)))
    const about = this.keyed ? this.keyed.column : Math.floor((from + to) / 2)
    const start = Math.min(Math.max(about - Math.floor(size / 2), 0), most - size)
    this.look(start, start + size)
    if (this.keyed) this.show(this.keyed)
  }

  bind() {
    const svg = this.svg
    const d = this.data
    svg.onpointermove = (event) => {
      if (event.buttons) return
      const place = this.at(event)
      if (place.inside) this.show(place)
      else this.hide()
    }
    svg.onpointerleave = () => this.hide()
    svg.ondblclick = () => this.look(0, d.columns.length)
    svg.onpointerdown = (event) => {
      const start = this.at(event)
      this.dragged = false
      this.pointed(true)
      if (!start.inside || event.button) return
      let end = start
      const began = event.clientX
      svg.setPointerCapture(event.pointerId)
      svg.onpointermove = (e) => {
        end = this.at(e)
        this.dragged = this.dragged || Math.abs(e.clientX - began) > 5
        if (!this.dragged) return
        this.hide()
        const [a, b] = [Math.min(start.column, end.column), Math.max(start.column, end.column) + 1]
        this.windowBox.setAttribute("x", this.leftEdge + (a - this.window[0]) * this.cell[0])
        this.windowBox.setAttribute("width", (b - a) * this.cell[0])
        this.windowBox.setAttribute("visibility", "visible")
      }
      svg.onpointerup = () => {
        const [a, b] = [Math.min(start.column, end.column), Math.max(start.column, end.column) + 1]
        if (this.dragged) this.look(a, b)
        else this.bind()
      }
    }
    svg.onclick = (event) => {
      const place = this.at(event)
      if (place.inside && !this.dragged && event.detail === 1) this.pick(place)
    }
    svg.onkeydown = (event) => {
      this.pointed(false)
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key]
      const now = this.keyed || { row: 0, column: this.window[0] }
      if (event.key === "Enter") this.pick(now)
      if (event.key === "Escape") this.look(0, d.columns.length)
      if (event.key === "+" || event.key === "-") this.zoom(event.key === "+")
      if (!step) return
      event.preventDefault()
      const [first, last] = [this.window[0], this.window[1] - 1]
      this.keyed = this.keyed
        ? { row: Math.min(Math.max(now.row + step[0], 0), d.labels.length - 1), column: Math.min(Math.max(now.column + step[1], first), last) }
        : now
      this.show(this.keyed)
      this.spoken.textContent = this.words(this.keyed).join(", ")
    }
    svg.onblur = () => this.hide()
  }

  // A double click begins with a click: it is taken when no second one follows.
  pick(place) {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.send("picked", place.column), 250)
    this.svg.addEventListener("dblclick", () => clearTimeout(this.timer), { once: true })
  }

  saving() {
    const place = this.root.querySelector(".save")
    if (place.firstChild) return
    place.innerHTML = `<button type="button" title="The figure, print quality">SVG</button>`
    place.firstChild.onclick = () => save(`${this.data.name}.svg`, "image/svg+xml", standalone(this.svg, [], this.width, this.data.height, this.data.title))
  }

  close() {
    clearTimeout(this.timer)
    this.observer.disconnect()
  }
}

export default mounted(instances, NeuronMap)
