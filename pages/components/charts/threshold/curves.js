// ROC and precision-recall curves with the operating point, which follows the histogram's line.
const instances = new WeakMap()
const M = { left: 46, right: 8, top: 22, bottom: 38 }
const KINDS = {
  roc: { button: "ROC", title: "ROC, AUROC in %", x: "OOD accepted (FPR), %", y: "ID accepted (TPR), %" },
  pr_id: { button: "PR, ID", title: "ID positive, average precision in %", x: "recall of ID, %", y: "precision of ID, %" },
  pr_ood: { button: "PR, OOD", title: "OOD positive, average precision in %", x: "recall of OOD, %", y: "precision of OOD, %" },
}

class Curves {
  constructor(root) {
    this.root = root
    this.plot = root.querySelector(".plot")
    this.options = root.querySelector(".options")
    this.tip = root.querySelector(".tip")
    this.listener = (e) => {
      if (this.data && e.detail.id === this.data.id) {
        this.counts = e.detail.counts
        this.place()
      }
    }
    window.addEventListener(MOVED, this.listener)
    this.observer = watchWidth(this, this.plot)
  }

  update(component) {
    const d = (this.data = component.data)
    this.kind = d.kind
    this.counts = newest(d).counts
    const choices = Object.entries(KINDS).map(([k, v]) => [k, v.button])
    this.options.innerHTML = choiceHtml("curve", "Curve", choices, this.kind)
    this.options.onclick = (e) => {
      const b = e.target.closest("button")
      if (!b) return
      this.kind = b.dataset.value
      for (const o of b.parentElement.children) o.setAttribute("aria-pressed", String(o === b))
      this.draw()
      component.setTriggerValue("drawn", { curve: this.kind })
    }
    const saves = this.root.querySelector(".save")
    saves.innerHTML = `<button type="button" title="The figure, print quality">SVG</button><button type="button" title="The vertices drawn">CSV</button>`
    saves.children[0].onclick = () => save(`${d.name}-${this.kind}.svg`, "image/svg+xml", standalone(this.svg, [], this.width, d.height))
    saves.children[1].onclick = () => save(`${d.name}-${this.kind}.csv`, "text/csv", this.table())
    this.draw()
  }

  draw() {
    const d = this.data
    const W = (this.width = this.plot.clientWidth || 300)
    const H = d.height
    const words = KINDS[this.kind]
    this.sx = (v) => M.left + (v / 100) * (W - M.left - M.right)
    this.sy = (v) => H - M.bottom - (v / 100) * (H - M.top - M.bottom)
    const ood = d.sets.filter((s) => !s.id)
    const areas = d.areas[this.kind]
    const alt = `${words.title}: ${ood.map((s, i) => `${s.name} ${areas[i]}`).join(", ")}`
    const svg = node("svg", { viewBox: `0 0 ${W} ${H}`, height: H, role: "img", "aria-label": alt })
    const marks = [0, 20, 40, 60, 80, 100]
    axes(svg, {
      W, H, M,
      xs: marks.map((v) => [this.sx(v), v]),
      ys: marks.map((v) => [this.sy(v), v]),
      x_title: words.x,
      y_title: words.y,
      heading: words.title,
    })
    if (this.kind === "roc") node("path", { class: "chance", d: `M${this.sx(0)},${this.sy(0)}L${this.sx(100)},${this.sy(100)}` }, svg)
    d.curves[this.kind].forEach((c, i) => {
      const path = c.x.map((x, k) => `${this.sx(x).toFixed(1)},${this.sy(c.y[k]).toFixed(1)}`).join("L")
      node("path", { class: "curve", d: `M${path}`, style: `stroke:${ood[i].colour}` }, svg)
    })
    this.names(svg, ood, areas)
    this.points = ood.map((s) => node("circle", { class: "point", r: 5, style: `fill:${s.colour}` }, svg))
    svg.onmousemove = (e) => this.hover(e, svg, ood)
    svg.onmouseleave = () => (this.tip.hidden = true)
    if (this.svg) this.svg.replaceWith(svg)
    else this.plot.appendChild(svg)
    this.svg = svg
    this.place()
  }

  names(svg, ood, areas) {
    const g = node("g", { class: "names" }, svg)
    const lines = ood.map((s, i) => [s.name.length > 16 ? s.name.slice(0, 15) + "…" : s.name, areas[i]])
    const wide = 26 + 6.1 * Math.max(...lines.map(([a, b]) => `${a} ${b}`.length))
    const x = this.sx(100) - wide
    const y = this.sy(3) - 15 * lines.length
    node("rect", { class: "ground", x: x - 4, y: y - 2, width: wide + 4, height: 15 * lines.length + 4 }, g)
    lines.forEach(([name, area], i) => {
      node("rect", { x, y: y + 15 * i + 3, width: 9, height: 9, rx: 2, fill: ood[i].colour }, g)
      node("text", { x: x + 14, y: y + 15 * i + 11 }, g, `${name} ${area}`)
    })
  }

  // Where the threshold lies on each curve, from the counts alone.
  place() {
    if (!this.points) return
    const sets = this.data.sets
    const k = sets.findIndex((s) => s.id)
    const id = this.counts[k]
    const nId = sets[k].n
    let i = 0
    sets.forEach((s, j) => {
      if (s.id) return
      const ood = this.counts[j]
      let x, y
      if (this.kind === "roc") [x, y] = [ood / s.n, id / nId]
      else if (this.kind === "pr_id") [x, y] = [id / nId, id / (id + ood)]
      else [x, y] = [(s.n - ood) / s.n, (s.n - ood) / (s.n - ood + nId - id)]
      const point = this.points[i++]
      point.setAttribute("visibility", Number.isFinite(y) ? "visible" : "hidden")
      if (!Number.isFinite(y)) return
      point.setAttribute("cx", this.sx(100 * x).toFixed(2))
      point.setAttribute("cy", this.sy(100 * y).toFixed(2))
    })
  }

  hover(event, svg, ood) {
    const box = svg.getBoundingClientRect()
    const px = ((event.clientX - box.left) / box.width) * this.width
    const py = event.clientY - box.top
    let best = null
    let near = 18 * 18
    this.data.curves[this.kind].forEach((c, i) => {
      c.x.forEach((x, k) => {
        const dx = this.sx(x) - px
        const dy = this.sy(c.y[k]) - py
        if (dx * dx + dy * dy < near) {
          near = dx * dx + dy * dy
          best = [i, x, c.y[k]]
        }
      })
    })
    this.tip.hidden = !best
    if (!best) return
    const words = KINDS[this.kind]
    this.tip.innerHTML = `<i style="background:${ood[best[0]].colour}"></i>${escape_(ood[best[0]].name)}<br>${words.x.replace(", %", "")} ${best[1].toFixed(2)} %<br>${words.y.replace(", %", "")} ${best[2].toFixed(2)} %`
    const outer = this.root.querySelector(".wrap").getBoundingClientRect()
    const w = this.tip.offsetWidth
    const x = event.clientX - outer.left
    this.tip.style.left = `${x + 12 + w > outer.width ? Math.max(0, x - w - 12) : x + 12}px`
    this.tip.style.top = `${event.clientY - outer.top + 12}px`
  }

  table() {
    const ood = this.data.sets.filter((s) => !s.id)
    const words = KINDS[this.kind]
    const rows = [["OOD set", words.x, words.y].map(csvText).join(",")]
    this.data.curves[this.kind].forEach((c, i) => c.x.forEach((x, k) => rows.push([csvText(ood[i].name), x, c.y[k]].join(","))))
    return rows.join("\n") + "\n"
  }

  close() {
    window.removeEventListener(MOVED, this.listener)
    this.observer.disconnect()
  }
}

export default mounted(instances, Curves)
