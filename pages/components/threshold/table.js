// One row per image set. Accepted and rejected follow the threshold line at every frame (event
// "ood-lens-threshold" of the histogram with the same channel); the other columns are fixed.
const instances = new WeakMap()

class Table {
  constructor(root) {
    this.root = root
    this.listener = (e) => {
      if (this.data && e.detail.channel === this.data.channel && e.detail.counts.length === this.data.rows.length)
        this.fill(e.detail.counts)
    }
    window.addEventListener(EVENT, this.listener)
  }

  update(component) {
    const d = (this.data = component.data)
    this.root.querySelector("thead").innerHTML =
      "<tr>" + ["image set", ...d.columns, "accepted", "rejected", "accepted %", ""].map((c) => `<th scope="col">${c}</th>`).join("") + "</tr>"
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
      bar.innerHTML = `<div><span style="background:${r.colour}"></span></div>`
      return [...cells, bar.querySelector("span")]
    })
    this.fill(d.accepted)
  }

  fill(counts) {
    this.data.rows.forEach((r, k) => {
      const [accepted, rejected, rate, bar] = this.cells[k]
      accepted.textContent = `${count(counts[k])} / ${count(r.n)}`
      rejected.textContent = count(r.n - counts[k])
      rate.textContent = percent(counts[k], r.n)
      bar.style.width = `${(100 * counts[k]) / r.n}%`
    })
  }

  close() {
    window.removeEventListener(EVENT, this.listener)
  }
}

export default mounted(instances, Table)
