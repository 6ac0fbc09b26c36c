// One page of images with captions; pages and tabs are asked of the server.
const element = (tag, parent, text, className) => {
  const el = document.createElement(tag)
  if (text !== undefined) el.textContent = text
  if (className) el.className = className
  if (parent) parent.appendChild(el)
  return el
}

// Nodes of images that stay are used again, so that a new threshold does not decode them again.
function fill(list, items) {
  const keys = items.map((item) => JSON.stringify(item))
  const shown = [...list.children]
  if (keys.length === shown.length && keys.every((key, i) => key === shown[i].dataset.key)) return
  const known = new Map(shown.map((li) => [li.dataset.key, li]))
  const wanted = items.map((item, i) => {
    const key = keys[i]
    const old = known.get(key)
    if (old) return old
    const li = element("li")
    li.dataset.key = key
    const figure = element("figure", li)
    figure.title = item.id
    const frame = element("div", figure, undefined, "frame")
    if (item.uri) {
      const img = element("img", frame)
      img.alt = item.id
      img.src = item.uri
    } else element("small", frame, item.text)
    const caption = element("figcaption", figure)
    if (item.score) {
      const line = element("div", caption, undefined, "score")
      element("b", line, item.score)
      line.append(" ")
      if (item.percentile) element("span", line, item.percentile, "quiet").title = "Share of the ID test images that score no higher than this one"
    }
    if (item.prediction || item.label) {
      const line = element("div", caption, item.prediction || "")
      if (item.label) element("span", line, ` ${item.label}`, "quiet")
    }
    const line = element("div", caption, undefined, "quiet")
    element("i", line).style.background = item.colour
    line.append(item.set)
    return li
  })
  list.replaceChildren(...wanted)
}

function tabs(root, d, send) {
  const bar = root.querySelector(".tabs")
  const values = d.tabs.map(([value]) => value)
  if (String(values) !== String([...bar.children].map((b) => b.dataset.value)))
    bar.replaceChildren(
      ...d.tabs.map(([value, title]) => {
        const b = element("button", null, title)
        element("b", b)
        b.type = "button"
        b.dataset.value = value
        b.setAttribute("role", "tab")
        return b
      }),
    )
  d.tabs.forEach(([value, , n], i) => {
    const b = bar.children[i]
    const chosen = String(value === d.tab)
    if (b.lastChild.textContent !== n) b.lastChild.textContent = n
    if (b.getAttribute("aria-selected") !== chosen) b.setAttribute("aria-selected", chosen)
    b.tabIndex = value === d.tab ? 0 : -1
    b.onclick = () => value !== d.tab && send("chosen", value)
    b.onkeydown = (event) => {
      const last = d.tabs.length - 1
      const to = { ArrowLeft: i ? i - 1 : last, ArrowRight: i < last ? i + 1 : 0, Home: 0, End: last }[event.key]
      if (to === undefined) return
      event.preventDefault()
      bar.children[to].focus()
      bar.children[to].click()
    }
  })
  const panel = root.querySelector(".panel")
  const chosen = d.tabs.find(([value]) => value === d.tab)
  if (!chosen) return
  panel.setAttribute("role", "tabpanel")
  panel.setAttribute("aria-label", chosen[1])
}

export default function ({ parentElement: root, data: [d], setTriggerValue: send }) {
  tabs(root, d, send)
  const empty = root.querySelector(".empty")
  empty.textContent = d.items.length ? "" : d.empty
  empty.hidden = d.items.length > 0
  fill(root.querySelector("ul"), d.items)
  const pager = root.querySelector(".pager")
  pager.style.display = d.last > 0 ? "" : "none"
  const previous = root.querySelector(".previous")
  const next = root.querySelector(".next")
  previous.disabled = d.page === 0
  next.disabled = d.page >= d.last
  previous.onclick = () => send("turned", d.page - 1)
  next.onclick = () => send("turned", d.page + 1)
  root.querySelector(".where").textContent = d.where
}
