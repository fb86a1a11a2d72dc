(function () {
  "use strict";
  const form = document.querySelector(".filters");
  const cases = Array.from(document.querySelectorAll(".case"));
  if (!form || !cases.length) return;
  const told = form.querySelector("output");
  function wanted(name) {
    const field = form.elements[name];
    return field ? field.value : "";
  }
  function apply() {
    const change = wanted("change"), check = wanted("check"), tag = wanted("tag"), text = wanted("text").toLowerCase();
    let left = 0;
    for (const item of cases) {
      const show = (!change || item.dataset.change === change)
        && (!check || JSON.parse(item.dataset.checks).includes(check))
        && (!tag || JSON.parse(item.dataset.tags).includes(tag))
        && (!text || item.textContent.toLowerCase().includes(text));
      item.hidden = !show;
      left += show ? 1 : 0;
    }
    told.textContent = left === cases.length ? "" : left + " of " + cases.length + " shown";
  }
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  addEventListener("beforeprint", function () { for (const item of cases) if (!item.hidden && item.dataset.change !== "passes") item.open = true; });
})();
