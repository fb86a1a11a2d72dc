// Small conveniences; every page works without them, but for the charts.
(function () {
  "use strict";
  const near = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });

  // Times in the reader's own zone.
  function localise(root) {
    for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
      element.dataset.local = "yes";
      element.textContent = near.format(new Date(element.dateTime));
    }
  }

  // The form token goes with every request that htmx makes.
  document.addEventListener("htmx:config:request", function (event) {
    const token = document.querySelector('meta[name="form-token"]');
    event.detail.ctx.request.headers["X-Form-Token"] = token.content;
  });
  document.addEventListener("htmx:after:swap", function () { localise(document); draw(document); });

  // A form whose choices act at once.
  document.addEventListener("change", function (event) {
    if (event.target.form && event.target.form.hasAttribute("data-submit-on-change")) event.target.form.submit();
  });

  // Copy buttons.
  document.addEventListener("click", function (event) {
    const button = event.target.closest("button[data-copy]");
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(function () {
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(function () { button.textContent = before; }, 1200);
    });
  });

  // Keys: each control that has one says so in data-key; meant are those of the case or review in which the focus is.
  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const here = event.target.closest(".case[open], [data-keys]") || document.querySelector("[data-keys][data-current]");
    const control = here && here.querySelector('[data-key="' + CSS.escape(event.key) + '"]');
    if (control) {
      event.preventDefault();
      control.click();
    }
  });

  // Charts: data-plot holds {x: [seconds], series: [{label, values}], unit}.
  const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3], [1, 4], [12, 4]];
  function draw(root) {
    if (typeof uPlot === "undefined") return;
    for (const box of root.querySelectorAll("[data-plot]")) {
      const plot = JSON.parse(box.dataset.plot);
      delete box.dataset.plot;
      const style = getComputedStyle(document.documentElement);
      const colour = function (name) { return style.getPropertyValue(name).trim(); };
      const axis = { stroke: colour("--dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
      const series = plot.series.map(function (line, i) {
        return { label: line.label, stroke: colour("--hue-" + (i % 6 + 1)), width: 2, dash: dashes[i % dashes.length], points: { show: plot.x.length < 60 },
          value: function (_, value) { return value == null ? "–" : value.toPrecision(4) / 1 + " " + plot.unit; } };
      });
      const chart = new uPlot({
        width: box.clientWidth, height: 240, series: [{}].concat(series), cursor: { drag: { setScale: false } },
        scales: { y: { range: function (_, low, high) { return [Math.min(low, 0), high > 0 ? high * 1.08 : 1]; } } },
        axes: [axis, Object.assign({ size: 70, values: function (_, ticks) { return ticks.map(function (tick) { return tick + ""; }); } }, axis)],
      }, [plot.x].concat(plot.series.map(function (line) { return line.values; })), box);
      new ResizeObserver(function () { chart.setSize({ width: box.clientWidth, height: 240 }); }).observe(box);
    }
  }

  document.addEventListener("DOMContentLoaded", function () { localise(document); draw(document); });
})();
