// Small histograms below each other, each with the cut of its score. They only show: what moves
// them is elsewhere on the page. A panel that did not change is not drawn again.
const instances = new WeakMap()
const M = { left: 46, right: 8, top: 38, bottom: 36 }

class Densities {
  constructor(root) {
    this.root = root
    this.box = root.querySelector(".panels")
    this.tip = root.querySelector(".tip")
    this.drawn = []
    this.observer = watchWidth(this, this.box)
  }

  update(component) {
    this.data = component.data
    this.draw()
    if (this.data.tells) tell(LEVEL, this.data.tells)
  }

  draw() {
    const d = this.data
    const width = this.box.clientWidth || 320
    if (width !== this.width) this.drawn = []
    this.width = width
    d.panels.forEach((panel, k) => {
      const text = JSON.stringify(panel)
      if (this.drawn[k] === text) return
      this.drawn[k] = text
      const svg = this.panel(panel, width, d.height)
      const old = this.box.children[k]
      if (old) old.replaceWith(svg)
      else this.box.appendChild(svg)
    })
    const sets = d.panels[0].sets.map((s) => ({ name: s.name, colour: s.colour, n: s.n }))
    const legend = JSON.stringify(sets)
    if (legend === this.legend) return
    this.legend = legend
    this.root.querySelector(".legend").innerHTML = legendHtml(sets)
    this.saving(sets)
  }

  panel(p, W, H) {
    const e = p.edges
    const x0 = e[0]
    const x1 = e[e.length - 1]
    const heights = p.sets.map((s) => s.bins.map((b, i) => b / Math.max(s.n, 1) / (e[i + 1] - e[i])))
    const top = Math.max(...heights.map((h) => Math.max(...h)), 1e-12) * 1.06
    const bottom = H - M.bottom
    const sx = (v) => M.left + ((v - x0) / (x1 - x0)) * (W - M.left - M.right)
    const sy = (v) => bottom - (v / top) * (bottom - M.top)
    const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, height: H, role: "img", "aria-label": `${p.title}: ${p.sets.map((s) => s.name).join(", ")}; ${p.cut_text}` })
    axes(svg, {
      W, H, M,
      xs: ticks(x0, x1, Math.max(3, W / 90)).map((v) => [sx(v), short(v)]),
      ys: ticks(0, top, 3).map((v) => [sy(v), short(v)]),
      x_title: p.x_title,
      y_title: "density",
      heading: p.title,
    })
    p.sets.forEach((s, k) => {
      const h = heights[k]
      let path = `M${sx(x0)},${bottom}`
      for (let i = 0; i < h.length; i++) path += `L${sx(e[i]).toFixed(1)},${sy(h[i]).toFixed(1)}L${sx(e[i + 1]).toFixed(1)},${sy(h[i]).toFixed(1)}`
      path += `L${sx(x1).toFixed(1)},${bottom}`
      node("path", { d: path, class: "area", style: `fill:${s.colour}` }, svg)
      node("path", { d: path, class: "outline", style: `stroke:${s.colour}` }, svg)
    })
    const at = sx(p.cut_at)
    node("line", { class: "cut", x1: at, x2: at, y1: M.top - 4, y2: bottom }, svg)
    const late = at > W - 110
    node("text", { x: at + (late ? -4 : 4), y: M.top - 7, "text-anchor": late ? "end" : "start" }, svg, p.cut_text)
    svg.onmousemove = (event) => this.hover(event, svg, p, W)
    svg.onmouseleave = () => (this.tip.hidden = true)
    return svg
  }

  hover(event, svg, p, W) {
    const box = svg.getBoundingClientRect()
    const e = p.edges
    const v = e[0] + (((event.clientX - box.left) / box.width) * W - M.left) / (W - M.left - M.right) * (e[e.length - 1] - e[0])
    let i = nearest(e, v)
    if (v < e[i]) i -= 1
    i = Math.min(Math.max(i, 0), e.length - 2)
    showTip(this.tip, this.root, event, `<div style="opacity:.75">${short(e[i])} to ${short(e[i + 1])}</div>` + p.sets.map((s) => `<div><i style="background:${s.colour}"></i>${escape_(s.name)}: ${count(s.bins[i])} <span style="opacity:.72">${percent(s.bins[i], s.n)}</span></div>`).join(""))
  }

  saving(sets) {
    const place = this.root.querySelector(".save")
    place.innerHTML = `<button type="button" title="The figures, print quality">SVG</button><button type="button" title="The numbers: images per bin">CSV</button>`
    const [svg, csv] = place.children
    const legend = sets.map((s) => ({ colour: s.colour, text: `${s.name} (${count(s.n)})` }))
    svg.onclick = () => [...this.box.children].forEach((one, k) => save(`${this.data.panels[k].name}.svg`, "image/svg+xml", standalone(one, legend, this.width, this.data.height)))
    csv.onclick = () => save(`${this.data.name}.csv`, "text/csv", this.table())
  }

  table() {
    const rows = [["score", "from", "to", ...this.data.panels[0].sets.map((s) => csvText(s.name))].join(",")]
    for (const p of this.data.panels)
      for (let i = 0; i + 1 < p.edges.length; i++) rows.push([csvText(p.name), p.edges[i], p.edges[i + 1], ...p.sets.map((s) => s.bins[i])].join(","))
    return rows.join("\n") + "\n"
  }

  close() {
    this.observer.disconnect()
  }
}

export default mounted(instances, Densities)
