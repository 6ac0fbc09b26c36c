// One row per image set. Accepted and rejected follow the threshold line at every frame; the other
// columns are fixed. It is redrawn after each change of the threshold and tells the others.
const instances = new WeakMap()

class Table {
  constructor(root) {
    this.root = root
    this.listener = (e) => {
      if (this.data && e.detail.id === this.data.id)
        this.fill(e.detail.counts)
    }
    window.addEventListener(MOVED, this.listener)
  }

  update(component) {
    const d = component.data
    const known = newest(d)
    if (!this.data || this.data.id !== d.id) this.build(d)
    this.data = d
    this.root.querySelector(".how").textContent = d.how
    this.root.querySelector(".check b").textContent = d.check ? "On images the choice never saw" : ""
    this.root.querySelector(".check span").textContent = d.check
    this.fill(known.counts)
    tell(SETTLED, known)
  }

  build(d) {
    this.data = d
    this.shown = []
    this.root.querySelector("thead").innerHTML =
      "<tr>" + ["image set", ...d.columns, "accepted", "rejected", "accepted %"].map((c) => `<th scope="col">${c}</th>`).join("") + `<td class="bar" aria-hidden="true"></td></tr>`
    const body = this.root.querySelector("tbody")
    body.textContent = ""
    this.cells = d.rows.map((r) => {
      const row = body.insertRow()
      if (r.id) row.className = "id"
      const name = row.insertCell()
      name.innerHTML = `<i style="background:${r.colour}"></i>`
      name.append(r.name)
      for (const [value, interval] of r.fixed) {
        const cell = row.insertCell()
        cell.textContent = value
        if (interval) cell.insertAdjacentHTML("beforeend", ` <span class="interval">[${interval}]</span>`)
      }
      const cells = [row.insertCell(), row.insertCell(), row.insertCell()]
      const bar = row.insertCell()
      bar.className = "bar"
      bar.setAttribute("aria-hidden", "true")
      bar.innerHTML = `<div><span style="background:${r.colour}"></span></div>`
      return [...cells, bar.querySelector("span")]
    })
  }

  fill(counts) {
    this.data.rows.forEach((r, k) => {
      const [accepted, rejected, rate, bar] = this.cells[k]
      if (counts[k] === this.shown[k]) return
      this.shown[k] = counts[k]
      accepted.textContent = `${count(counts[k])} / ${count(r.n)}`
      rejected.textContent = count(r.n - counts[k])
      rate.textContent = percent(counts[k], r.n)
      bar.style.width = `${(100 * counts[k]) / r.n}%`
    })
  }

  close() {
    window.removeEventListener(MOVED, this.listener)
  }
}

export default mounted(instances, Table)
