// Draws the charts of a report: each <div class="chart" data-chart="NAME"> from the JSON in #charts.
// Colours are CSS variables, so that light, dark and print need no second drawing code.
(function () {
  "use strict";
  var charts = JSON.parse(document.getElementById("charts").textContent);
  var touch = window.matchMedia("(pointer: coarse)").matches;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function axis(spec) {
    return {
      title: { text: spec.title || "", font: { size: 12 }, standoff: 8 },
      gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, color: colour("soft"),
      tickformat: spec.format || "", rangemode: spec.from_zero ? "tozero" : "normal",
      fixedrange: touch, automargin: true, tickfont: { size: 12 }, nticks: spec.ticks || 0,
      dtick: spec.step || undefined,
      type: spec.kind || undefined  // "log" or "category"; else plotly sees it from the values
    };
  }

  function traces(chart) {
    return chart.traces.map(function (trace) {
      var ink = colour(trace.colour);
      if (trace.kind === "bars") {
        return { type: "bar", x: trace.x, y: trace.y, width: trace.width, name: trace.name, marker: { color: ink },
                 customdata: trace.text, hovertemplate: "%{customdata}<extra></extra>" };
      }
      if (trace.kind === "dots") {
        return { type: "scatter", mode: "markers", x: trace.x, y: trace.y, name: trace.name,
                 marker: { color: ink, size: 5, opacity: 0.6 } };
      }
      return { type: "scatter", x: trace.x, y: trace.y, name: trace.name, connectgaps: false,
               hoverinfo: trace.plain ? "skip" : undefined,
               mode: trace.plain || trace.x.length > 60 ? "lines" : "lines+markers",
               line: { color: ink, width: 2, dash: trace.dash || "solid" }, marker: { color: ink, size: 5 } };
    });
  }

  function layout(chart, place) {
    var best = chart.best === undefined ? [] : [
      { type: "line", x0: chart.best, x1: chart.best, yref: "paper", y0: 0, y1: 1,
        line: { color: colour("soft"), width: 1, dash: "dot" } }];
    var level = chart.level === undefined ? [] : [
      { type: "line", xref: "paper", x0: 0, x1: 1, y0: chart.level.y, y1: chart.level.y,
        line: { color: colour("rival"), width: 1.5, dash: "dash" } }];
    var notes = chart.level === undefined ? [] : [
      { xref: "paper", x: 1, y: chart.level.y, text: chart.level.name, showarrow: false, xanchor: "right",
        yanchor: "bottom", bgcolor: colour("panel"), font: { size: 12, color: colour("soft") } }];
    return {
      width: place.clientWidth, height: place.clientHeight,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 13 },
      margin: { l: 48, r: 10, t: 8, b: 40 }, hovermode: chart.traces[0].kind === "line" ? "x unified" : "closest",
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
      showlegend: chart.traces.length > 1,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      xaxis: axis(chart.x), yaxis: axis(chart.y), shapes: best.concat(level), annotations: notes, bargap: 0
    };
  }

  function draw(place) {
    var chart = charts[place.dataset.chart];
    if (!chart || !place.clientWidth) return;  // figures of an X-ray are drawn by xray.js
    Plotly.react(place, traces(chart), layout(chart, place), { displayModeBar: false });
  }

  var places = document.querySelectorAll(".chart");

  function drawAll() {
    places.forEach(draw);
  }

  // Drawn when its place gets a size, now and whenever that changes, and before anything is painted: plotly's
  // own `responsive` comes a moment later, when a chart has already been seen to stick out of its card.
  var watch = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) { draw(entry.target); });
  });
  places.forEach(function (place) { watch.observe(place); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.matchMedia("print").addEventListener("change", drawAll);
})();
