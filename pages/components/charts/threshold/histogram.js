// Histogram with a threshold line to drag. Counts come from exact cumulative counts at `grid`
// thresholds, sent once; nothing is asked of the server until the line is released.
const instances = new WeakMap()
const M = { left: 60, right: 10, top: 20, bottom: 38 }

class Histogram {
  constructor(root) {
    this.root = root
    this.plot = root.querySelector(".plot")
    this.readout = root.querySelector(".readout")
    this.options = root.querySelector(".options")
    this.legend = root.querySelector(".legend")
    this.between = root.querySelector(".between")
    this.note = root.querySelector(".note")
    this.saves = root.querySelector(".save")
    this.tip = root.querySelector(".tip")
    this.width = 0
    this.frame = 0
    this.observer = watchWidth(this, this.plot)
    this.listener = (e) => {
      if (!this.data || e.detail.id !== this.data.id || this.busy()) return
      this.value = e.detail.value
      this.counts = e.detail.counts
      this.index = undefined
      this.place()
    }
    window.addEventListener(SETTLED, this.listener)
  }

  update(component) {
    this.send = component.setTriggerValue
    const d = component.data
    const known = newest(d)
    const same = this.data && d.id === this.data.id
    this.data = d
    if (!same || !this.busy()) {
      this.value = known.value
      this.counts = known.counts
    }
    if (!same || d.seq !== this.seq) {
      this.seq = d.seq
      this.range = d.range
      this.style = { unit: d.unit, scale: d.scale, sets: d.sets_shown }
      this.controls()
      this.draw()
    } else this.place()
  }

  busy() {
    return this.dragging || this.timer
  }

  // What is drawn: one series per set, or ID against all OOD sets together.
  series() {
    const all = this.data.sets.map((s) => ({ name: s.name, colour: s.colour, n: s.n, bins: s.bins, id: s.id }))
    if (this.style.sets !== "pooled") return all
    const ood = all.filter((s) => !s.id)
    if (ood.length < 2) return all
    const bins = ood[0].bins.map((_, i) => ood.reduce((t, s) => t + s.bins[i], 0))
    const n = ood.reduce((t, s) => t + s.n, 0)
    return [...all.filter((s) => s.id), { name: "OOD, pooled", colour: this.data.pooled_colour, n, bins, id: false }]
  }

  heights(series) {
    const e = this.data.edges
    const density = this.style.unit === "density"
    return series.bins.map((b, i) => (density ? b / series.n / (e[i + 1] - e[i]) : b))
  }

  controls() {
    const many = this.data.sets.filter((s) => !s.id).length > 1
    const html =
      choiceHtml("unit", "Vertical axis", [["density", "Density"], ["counts", "Counts"]], this.style.unit) +
      choiceHtml("scale", "Vertical scale", [["linear", "Linear"], ["log", "Log"]], this.style.scale) +
      (many ? choiceHtml("sets", "OOD sets", [["each", "Each set"], ["pooled", "Pooled"]], this.style.sets) : "")
    if (html !== this.controlsHtml) {
      this.controlsHtml = html
      this.options.innerHTML = html
    }
    this.options.onclick = (e) => {
      const b = e.target.closest("button")
      if (!b) return
      const { name, value } = b.dataset
      this.style[name] = value
      for (const o of b.parentElement.children) o.setAttribute("aria-pressed", String(o === b))
      this.draw()
      this.send("drawn", { ...this.style })
    }
  }

  draw() {
    const d = this.data
    const W = (this.width = this.plot.clientWidth || 600)
    const H = d.height
    this.x0 = d.edges[0]
    this.x1 = d.edges[d.edges.length - 1]
    const sx = (v) => M.left + ((v - this.x0) / (this.x1 - this.x0)) * (W - M.left - M.right)
    this.sx = sx
    this.inverse = (px) => this.x0 + ((px - M.left) / (W - M.left - M.right)) * (this.x1 - this.x0)
    const shown = this.series()
    const heights = shown.map((s) => this.heights(s))
    const top = Math.max(...heights.map((h) => Math.max(...h)), 1e-12)
    const log = this.style.scale === "log"
    const positive = Math.min(...heights.flat().filter((v) => v > 0), top)
    const floor = log ? Math.pow(10, Math.floor(Math.log10(positive) - 0.01)) : 0
    const ceiling = log ? top * 1.4 : top * 1.06
    const sy = (v) => {
      const share = log ? (v <= floor ? 0 : Math.log(v / floor) / Math.log(ceiling / floor)) : v / ceiling
      return H - M.bottom - share * (H - M.bottom - M.top)
    }
    const old = this.plot.querySelector("svg")
    const hadFocus = this.handle && this.root.getRootNode().activeElement === this.handle
    const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, height: H, role: "group", "aria-label": d.alt })
    this.axes(svg, W, H, sx, sy, floor, ceiling, log)
    const bottom = H - M.bottom
    this.rejected = node("rect", { class: "rejected", x: M.left, y: M.top, height: bottom - M.top, width: 0 }, svg)
    shown.forEach((s, k) => {
      const h = heights[k]
      let path = `M${sx(d.edges[0])},${bottom}`
      for (let i = 0; i < h.length; i++) {
        const y = sy(h[i]).toFixed(1)
        path += `L${sx(d.edges[i]).toFixed(1)},${y}L${sx(d.edges[i + 1]).toFixed(1)},${y}`
      }
      path += `L${sx(this.x1).toFixed(1)},${bottom}`
      if (s.id || shown.length === 2) node("path", { d: path, class: "area", style: `fill:${s.colour}` }, svg)
      node("path", { d: path, class: "outline", style: `stroke:${s.colour}` }, svg)
    })
    this.rangeBox = node("rect", { class: "range", y: M.top, height: bottom - M.top, width: 0, visibility: "hidden" }, svg)
    this.surface = node("rect", { x: M.left, y: M.top, width: Math.max(W - M.left - M.right, 1), height: bottom - M.top, fill: "transparent", style: "cursor:crosshair" }, svg)
    this.makeHandle(svg, bottom)
    if (old) old.replaceWith(svg)
    else this.plot.appendChild(svg)
    this.svg = svg
    this.legend.innerHTML = legendHtml(shown)
    this.note.textContent = d.note
    this.saving()
    this.shown = shown
    this.bind()
    this.place()
    this.drawRange()
    if (hadFocus) this.handle.focus({ preventScroll: true })
  }

  axes(svg, W, H, sx, sy, floor, ceiling, log) {
    const steps = Math.log10(ceiling / floor) < 2 ? [1, 2, 5] : [1]
    const ys = log ? [] : ticks(0, ceiling, 4)
    if (log) for (let v = floor; v <= ceiling; v *= 10) ys.push(...steps.map((m) => m * v).filter((u) => u <= ceiling))
    const counts = this.style.unit === "counts"
    axes(svg, {
      W, H, M,
      xs: ticks(this.x0, this.x1, Math.max(3, W / 110)).map((v) => [sx(v), short(v)]),
      ys: ys.map((v) => [sy(v), counts ? (v >= 1 ? count(v) : "") : short(v)]).filter(([y]) => y >= M.top - 1),
      x_title: this.data.x_title,
      y_title: counts ? "images per bin" : "share of the set per unit of score",
    })
  }

  makeHandle(svg, bottom) {
    const g = node("g", { class: "handle", tabindex: 0, role: "slider", "aria-label": "Threshold", "aria-orientation": "horizontal" }, svg)
    node("rect", { class: "grab", x: -9, y: M.top - 14, width: 18, height: bottom - M.top + 14 }, g)
    node("line", { class: "line", x1: 0, x2: 0, y1: M.top - 6, y2: bottom }, g)
    node("path", { class: "grip", d: `M-6,${M.top - 13}L6,${M.top - 13}L6,${M.top - 8}L0,${M.top - 1}L-6,${M.top - 8}Z` }, g)
    node("rect", { class: "ring", x: -9, y: M.top - 16, width: 18, height: bottom - M.top + 18, rx: 4 }, g)
    this.left = node("text", { class: "sides", y: M.top - 5, "text-anchor": "end", x: -12 }, g, "rejected as OOD")
    this.right = node("text", { class: "sides", y: M.top - 5, x: 12, "data-id": "threshold" }, g, "")
    const grid = this.data.grid
    g.setAttribute("aria-valuemin", grid[0])
    g.setAttribute("aria-valuemax", grid[grid.length - 1])
    this.handle = g
  }

  // Everything that follows the line at every frame.
  place() {
    const d = this.data
    const clamped = Math.min(Math.max(this.value, this.x0), this.x1)
    const x = this.sx(clamped)
    this.handle.setAttribute("transform", `translate(${x.toFixed(2)} 0)`)
    this.rejected.setAttribute("width", Math.max(0, x - M.left).toFixed(2))
    this.left.style.display = x - M.left < 100 ? "none" : ""
    this.right.style.display = this.width - M.right - x < 150 ? "none" : ""
    let id = 0
    let nId = 0
    let ood = 0
    let nOod = 0
    d.sets.forEach((s, k) => {
      if (s.id) {
        id += this.counts[k]
        nId += s.n
      } else {
        ood += this.counts[k]
        nOod += s.n
      }
    })
    const precision = id + ood ? percent(id, id + ood) : "–"
    const html =
      `<span>ID accepted <b data-id="tpr">${percent(id, nId)}</b> <span data-id="id-count">${count(id)} / ${count(nId)}</span></span>` +
      `<span>OOD accepted <b data-id="fpr">${percent(ood, nOod)}</b> <span data-id="ood-count">${count(ood)} / ${count(nOod)}</span></span>` +
      `<span title="Precision: the share of ID images among all that are accepted. It falls with every OOD image that the sets hold more of.">ID among accepted <b data-id="precision">${precision}</b></span>`
    this.right.textContent = `≥ ${short(this.value)} accepted as ID`
    if (html !== this.readoutHtml) this.readout.innerHTML = this.readoutHtml = html
    this.handle.setAttribute("aria-valuenow", clamped)
    this.handle.setAttribute("aria-valuetext", `${short(this.value)}: ID accepted ${percent(id, nId)}, OOD accepted ${percent(ood, nOod)}`)
    tell(MOVED, { id: d.id, counts: this.counts })
  }

  moveTo(index) {
    const d = this.data
    this.index = Math.min(Math.max(index, 0), d.grid.length - 1)
    this.value = d.grid[this.index]
    this.counts = d.sets.map((s) => s.accepted[this.index])
    if (!this.frame)
      this.frame = requestAnimationFrame(() => {
        this.frame = 0
        this.place()
      })
  }

  release() {
    clearTimeout(this.timer)
    this.timer = 0
    const known = latest[this.data.channel]
    if (this.value === known.value) return
    known.value = this.value
    known.counts = this.counts
    this.send("moved", this.value)
  }

  at(event) {
    const box = this.svg.getBoundingClientRect()
    return this.inverse(((event.clientX - box.left) / box.width) * this.width)
  }

  bind() {
    const grid = this.data.grid
    const drag = (event, moved, done) => {
      event.preventDefault()
      const target = event.currentTarget
      target.setPointerCapture(event.pointerId)
      target.onpointermove = moved
      target.onpointerup = target.onpointercancel = (e) => {
        target.onpointermove = target.onpointerup = target.onpointercancel = null
        done(e)
      }
    }
    this.handle.onpointerdown = (event) => {
      this.dragging = true
      this.handle.classList.add("moving", "pointed")
      this.handle.focus({ preventScroll: true })
      this.tip.hidden = true
      drag(
        event,
        (e) => this.moveTo(nearest(grid, this.at(e))),
        () => {
          this.dragging = false
          this.handle.classList.remove("moving")
          this.release()
        },
      )
    }
    this.handle.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -50, PageUp: 50, Home: -1e9, End: 1e9 }[event.key]
      if (!step) return
      this.handle.classList.remove("pointed")
      event.preventDefault()
      const from = this.index !== undefined && grid[this.index] === this.value ? this.index : nearest(grid, this.value)
      this.moveTo(from + step * (event.shiftKey ? 10 : 1))
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.release(), 350)
    }
    this.handle.onblur = () => this.handle.classList.remove("pointed")
    this.surface.onpointerdown = (event) => {
      const from = this.at(event)
      let to = from
      const before = this.range
      this.tip.hidden = true
      drag(
        event,
        (e) => {
          to = Math.min(Math.max(this.at(e), this.x0), this.x1)
          this.range = [Math.min(from, to), Math.max(from, to)].map((v) => +v.toPrecision(6))
          this.drawRange()
        },
        () => {
          const wide = Math.abs(this.sx(to) - this.sx(from)) > 4
          this.range = wide ? this.range : null
          this.drawRange()
          if (wide || before) this.send("selected", this.range || [])
        },
      )
    }
    this.between.onchange = () => this.typed()
    this.between.onsubmit = (event) => (event.preventDefault(), this.typed())
    this.between.onreset = (event) => {
      event.preventDefault()
      this.range = null
      this.drawRange()
      this.send("selected", [])
    }
    this.surface.onmousemove = (event) => this.hover(event)
    this.surface.onmouseleave = () => (this.tip.hidden = true)
  }

  // The marked range of scores: on the bars, and in the two fields that set it from the keyboard.
  drawRange() {
    const r = this.range && this.range.length ? this.range : null
    const [from, to] = this.between.querySelectorAll("input")
    const low = r && r[0] > this.x0 ? r[0] : null
    const high = r && r[1] < this.x1 ? r[1] : null
    for (const [field, value] of [[from, low], [to, high]]) {
      field.value = value === null ? "" : String(+value.toPrecision(6))
      this.doubt(field, "")
    }
    this.between.querySelector("button").hidden = !r
    this.rangeBox.setAttribute("visibility", r ? "visible" : "hidden")
    if (!r) return
    const a = this.sx(Math.min(Math.max(r[0], this.x0), this.x1))
    const b = this.sx(Math.min(Math.max(r[1], this.x0), this.x1))
    this.rangeBox.setAttribute("x", a.toFixed(1))
    this.rangeBox.setAttribute("width", Math.max(b - a, 1).toFixed(1))
  }

  // An empty field is open: the lowest or the highest score drawn. What cannot be a range stays as
  // it was typed, says why, and changes nothing: the other end may be about to follow.
  typed() {
    const fields = [...this.between.querySelectorAll("input")]
    const texts = fields.map((f) => f.value.trim().replace("−", "-").replace(",", "."))
    const [low, high] = texts.map((t, k) => (t === "" ? [this.x0, this.x1][k] : Number(t)))
    const problems = [low, high].map((v) => (Number.isNaN(v) ? "This is not a number." : ""))
    if (!problems.some(Boolean)) {
      if (low > high) problems.fill("The lower end is above the upper one.")
      else if (low > this.x1 || high < this.x0) problems.fill(`The scores drawn lie in ${short(this.x0)} to ${short(this.x1)}.`)
    }
    fields.forEach((f, k) => this.doubt(f, problems[k]))
    if (problems.some(Boolean)) return
    const wanted = texts.every((t) => t === "") ? [] : [Math.max(low, this.x0), Math.min(high, this.x1)]
    const same = String(wanted) === String(this.range || [])
    this.range = wanted.length ? wanted : null
    this.drawRange()
    if (!same) this.send("selected", wanted)
  }

  doubt(field, problem) {
    field.setAttribute("aria-invalid", String(Boolean(problem)))
    field.title = problem
  }

  // What a bin holds, in words: the outer ones may hold everything beyond them.
  label(i) {
    const d = this.data
    const e = d.edges
    if (d.underflow && i === 0) return `below ${short(e[1])}`
    if (d.overflow && i === e.length - 2) return `${short(e[i])} and above`
    return `${short(e[i])} to ${short(e[i + 1])}`
  }

  saving() {
    if (!this.saves.firstChild) {
      this.saves.innerHTML = `<button type="button" title="The figure, print quality">SVG</button><button type="button" title="The numbers: images per bin">CSV</button>`
      const [svg, csv] = this.saves.children
      svg.onclick = () => save(`${this.data.name}.svg`, "image/svg+xml", standalone(this.svg, this.shown.map((s) => ({ colour: s.colour, text: `${s.name} (${count(s.n)})` })), this.width, this.data.height))
      csv.onclick = () => save(`${this.data.name}.csv`, "text/csv", this.table())
    }
  }

  table() {
    const d = this.data
    const rows = [["from", "to", ...d.sets.map((s) => csvText(s.name))].join(",")]
    for (let i = 0; i + 1 < d.edges.length; i++) {
      const from = d.underflow && i === 0 ? "" : d.edges[i]
      const to = d.overflow && i === d.edges.length - 2 ? "" : d.edges[i + 1]
      rows.push([from, to, ...d.sets.map((s) => s.bins[i])].join(","))
    }
    return rows.join("\n") + "\n"
  }

  hover(event) {
    if (event.buttons) return
    const e = this.data.edges
    const v = this.at(event)
    let i = nearest(e, v)
    if (v < e[i]) i -= 1
    i = Math.min(Math.max(i, 0), e.length - 2)
    const rows = this.shown.map((s) => `<div><i style="background:${s.colour}"></i>${escape_(s.name)}: ${count(s.bins[i])} <span style="opacity:.72">${percent(s.bins[i], s.n)}</span></div>`)
    showTip(this.tip, this.root, event, `<div style="opacity:.75">score ${this.label(i)}</div>` + rows.join(""))
  }

  close() {
    window.removeEventListener(SETTLED, this.listener)
    this.observer.disconnect()
    clearTimeout(this.timer)
    cancelAnimationFrame(this.frame)
  }
}

export default mounted(instances, Histogram)
