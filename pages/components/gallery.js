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
  const known = new Map([...list.children].map((li) => [li.dataset.key, li]))
  const wanted = items.map((item) => {
    const key = JSON.stringify(item)
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
    } else element("small", frame, "not readable")
    const caption = element("figcaption", figure)
    if (item.score) {
      const line = element("div", caption)
      element("b", line, item.score)
      if (item.percentile) element("span", line, ` ${item.percentile}`, "quiet").title = "share of ID test images that score no higher"
    }
    if (item.prediction) {
      const line = element("div", caption, item.prediction)
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
  const focused = root.activeElement && root.activeElement.dataset ? root.activeElement.dataset.value : undefined
  bar.replaceChildren(
    ...d.tabs.map(([value, title, n]) => {
      const b = element("button", null, title)
      element("b", b, n)
      b.type = "button"
      b.dataset.value = value
      b.setAttribute("role", "tab")
      b.setAttribute("aria-selected", String(value === d.tab))
      b.onclick = () => value !== d.tab && send("chosen", value)
      return b
    }),
  )
  if (focused !== undefined) for (const b of bar.children) if (b.dataset.value === focused) b.focus({ preventScroll: true })
}

export default function ({ parentElement: root, data: d, setTriggerValue: send }) {
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
