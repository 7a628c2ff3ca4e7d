// The theme's menu, search and, on a narrow screen, sections are labels of hidden boxes, which a mouse alone reaches.
// Here the keyboard does too.
const narrow = matchMedia("(max-width: 76.234375em)")
const buttons = "label.md-header__button:is([for=__drawer], [for=__search])"
const sections = "label:is(.md-nav__link, .md-nav__title)[for^=__]"

// The theme itself answers Enter.
function press(event) {
  if (event.key === " ") {
    event.preventDefault()
    event.currentTarget.click()
  }
}

function reach() {
  for (const label of document.querySelectorAll(`${buttons}, ${sections}`)) {
    if (narrow.matches) {
      label.tabIndex = 0
      label.setAttribute("role", "button")
      label.addEventListener("keydown", press)
    } else {
      label.removeAttribute("tabindex")
      label.removeAttribute("role")
    }
  }
  document.querySelector("label.md-header__button[for=__drawer]")?.setAttribute("aria-label", "Menu")
  document.querySelector("label.md-header__button[for=__search]")?.setAttribute("aria-label", "Search")
}

document$.subscribe(reach)
narrow.addEventListener("change", reach)
