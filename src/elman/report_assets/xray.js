// Draws the figures of an X-ray: each <div class="chart" data-chart="NAME"> from the JSON in #figures, and moves
// the animated ones by one control. Axes and colours come with the figures; what all have alike is added here.
(function () {
  "use strict";
  var figures = JSON.parse(document.getElementById("figures").textContent);
  var places = Array.prototype.slice.call(document.querySelectorAll(".chart"));
  var slider = document.getElementById("frame");
  var touch = window.matchMedia("(pointer: coarse)").matches;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function axis(own) {
    var look = {
      gridcolor: colour("line"), linecolor: colour("rival"), zerolinecolor: colour("line"), zeroline: false,
      color: colour("soft"), tickfont: { size: 12 }, automargin: true, fixedrange: touch
    };
    var all = Object.assign(look, own);
    all.title = { text: (own.title || {}).text || "", font: { size: 13 }, standoff: 8 };
    return all;
  }

  function layout(figure, place) {
    var own = figure.layout;
    return Object.assign({
      width: place.clientWidth, height: place.clientHeight,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: figure.data.some(isMap) ? "#d9d9d9" : "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 13 },
      margin: { l: 56, r: 12, t: 10, b: 44 }, hovermode: "x unified",
      hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") }, namelength: -1 },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal", bgcolor: "rgba(0,0,0,0)", font: { size: 12 } }
    }, own, { xaxis: axis(own.xaxis), yaxis: axis(own.yaxis) });
  }

  function isMap(trace) {
    return trace.type === "heatmap";
  }

  // A frame's numbers over the traces of its figure, so that a figure drawn anew shows the frame it showed.
  function traces(figure) {
    var frame = figure.frames && slider ? figure.frames[Number(slider.value)] : null;
    return figure.data.map(function (trace, at) {
      var where = frame ? frame.traces.indexOf(at) : -1;
      return Object.assign({}, trace, where >= 0 ? frame.data[where] : {});
    });
  }

  function draw(place) {
    var figure = figures[place.dataset.chart];
    if (!figure || !place.clientWidth) return;
    Plotly.react(place, {
      data: traces(figure), layout: layout(figure, place), frames: figure.frames || [], config: { displayModeBar: false }
    });
  }

  // As in charts.js: drawn when its place gets a size, before anything is painted.
  var watch = new ResizeObserver(function (entries) {
    entries.forEach(function (entry) { draw(entry.target); });
  });
  places.forEach(function (place) { watch.observe(place); });
  window.matchMedia("print").addEventListener("change", function () { places.forEach(draw); });

  if (!slider) return;
  var steps = slider.dataset.steps.split(" ");
  var play = document.getElementById("play");
  var timer = null;

  function show() {
    document.getElementById("step").textContent = "step " + steps[Number(slider.value)];
    slider.setAttribute("aria-valuetext", "step " + steps[Number(slider.value)]);
    places.forEach(function (place) {
      if (!(figures[place.dataset.chart] || {}).frames || !place.data) return;
      Plotly.animate(place, [slider.value], {
        mode: "immediate", transition: { duration: 0 }, frame: { duration: 0, redraw: true }
      });
    });
  }

  function stop() {
    window.clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function forward() {
    if (Number(slider.value) >= Number(slider.max)) { stop(); return; }
    slider.value = String(Number(slider.value) + 1);
    show();
  }

  slider.addEventListener("input", function () { stop(); show(); });
  play.addEventListener("click", function () {
    if (timer !== null) { stop(); return; }
    if (Number(slider.value) >= Number(slider.max)) slider.value = "0";
    show();
    play.textContent = "Stop";
    timer = window.setInterval(forward, 250);
  });
})();
