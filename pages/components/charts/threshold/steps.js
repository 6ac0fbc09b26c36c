// One value of each set at every place on the axis, as steps, and a level to hold them against.
const instances = new WeakMap()
const M = { left: 52, right: 10, top: 26, bottom: 40 }

class Steps {
  constructor(root) {
    this.root = root
    this.plot = root.querySelector(".plot")
    this.tip = root.querySelector(".tip")
    this.observer = watchWidth(this, this.plot)
    this.listener = (e) => {
      if (!this.data || e.detail.level === this.data.level) return
      this.data = { ...this.data, ...e.detail }
      this.drawn = ""
      this.late = !this.seen
      if (this.seen) this.draw()
    }
    // What is not in sight waits until it is.
    this.sight = new IntersectionObserver(([entry]) => {
      this.seen = entry.isIntersecting
      if (this.seen && this.late) this.draw()
    })
    this.sight.observe(this.plot)
    window.addEventListener(LEVEL, this.listener)
  }

  update(component) {
    const text = JSON.stringify(component.data)
    if (text === this.drawn) return
    this.drawn = text
    this.data = component.data
    this.draw()
  }

  draw() {
    this.late = false
    const d = this.data
    const W = (this.width = this.plot.clientWidth || 600)
    const H = d.height
    const n = d.labels.length
    const bottom = H - M.bottom
    const highest = Math.max(...d.sets.flatMap((s) => s.values), 1e-12)
    const level = d.level <= 2 * highest ? d.level : null // far above it would squeeze the rest
    const top = 1.06 * Math.max(highest, level || 0)
    const low = Math.min(0, ...d.sets.flatMap((s) => s.values))
    const sx = (i) => M.left + (i / n) * (W - M.left - M.right)
    const sy = (v) => bottom - ((v - low) / (top - low)) * (bottom - M.top)
    const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, height: H, role: "img", "aria-label": `${d.title}: ${d.sets.map((s) => s.name).join(", ")}${d.level_text ? `; ${d.level_text}` : ""}` })
    axes(svg, {
      W, H, M,
      xs: ticks(0, d.places, Math.max(3, W / 120)).map((v) => [sx((v / d.places) * n), short(v)]),
      ys: ticks(low, top, 5).map((v) => [sy(v), short(v)]),
      x_title: d.x_title,
      y_title: d.y_title,
      heading: d.title,
    })
    for (const s of [...d.sets].reverse()) {
      let path = ""
      s.values.forEach((v, i) => (path += `${i ? "L" : "M"}${sx(i).toFixed(1)},${sy(v).toFixed(1)}L${sx(i + 1).toFixed(1)},${sy(v).toFixed(1)}`))
      node("path", { d: path, class: s.id ? "outline main" : "outline", style: `stroke:${s.colour}` }, svg)
    }
    if (level !== null) {
      node("line", { class: "level", x1: M.left, x2: W - M.right, y1: sy(level), y2: sy(level) }, svg)
      node("text", { x: W - M.right, y: sy(level) - 4, "text-anchor": "end" }, svg, d.level_text)
    }
    svg.onmousemove = (event) => this.hover(event, svg, n, W)
    svg.onmouseleave = () => (this.tip.hidden = true)
    if (this.svg) this.svg.replaceWith(svg)
    else this.plot.appendChild(svg)
    this.svg = svg
    this.root.querySelector(".legend").innerHTML = legendHtml(d.sets)
    const place = this.root.querySelector(".save")
    if (place.firstChild) return
    place.innerHTML = `<button type="button" title="The figure, print quality">SVG</button>`
    place.firstChild.onclick = () => save(`${this.data.name}.svg`, "image/svg+xml", standalone(this.svg, this.data.sets.map((s) => ({ colour: s.colour, text: s.name })), this.width, this.data.height))
  }

  hover(event, svg, n, W) {
    const d = this.data
    const box = svg.getBoundingClientRect()
    const at = ((((event.clientX - box.left) / box.width) * W - M.left) / (W - M.left - M.right)) * n
    const i = Math.min(Math.max(Math.floor(at), 0), n - 1)
    showTip(this.tip, this.root, event, `<div style="opacity:.75">${escape_(d.what)} ${escape_(String(d.labels[i]))}</div>` + d.sets.map((s) => `<div><i style="background:${s.colour}"></i>${escape_(s.name)}: ${short(s.values[i])}</div>`).join(""))
  }

  close() {
    window.removeEventListener(LEVEL, this.listener)
    this.observer.disconnect()
    this.sight.disconnect()
  }
}

export default mounted(instances, Steps)
