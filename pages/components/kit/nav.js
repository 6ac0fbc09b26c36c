// The page list as real links: a click changes the page in this session, a new tab opens the view.
export default function ({ parentElement, data: [data], setTriggerValue }) {
  const nav = parentElement.querySelector("nav")
  while (nav.children.length > data.pages.length) nav.lastChild.remove()
  data.pages.forEach((page, i) => {
    let link = nav.children[i]
    if (!link) {
      link = nav.appendChild(document.createElement("a"))
      link.append(document.createElement("span"), "")
      link.firstChild.className = "icon"
      link.firstChild.setAttribute("aria-hidden", "true")
    }
    link.firstChild.textContent = page.icon
    link.lastChild.data = page.label
    link.href = page.href
    if (page.label === data.current) link.setAttribute("aria-current", "page")
    else link.removeAttribute("aria-current")
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
      event.preventDefault()
      if (page.label === data.current) return
      // The step in the history is made here: Streamlit would first put the new page's choices
      // behind the old page's path, as a step of its own.
      history.pushState({}, "", page.whole)
      setTriggerValue("go", { path: page.path, query: page.whole.split("?")[1] })
    }
  })
}
