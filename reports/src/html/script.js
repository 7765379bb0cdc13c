"use strict";
for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = button.textContent;
    let copied = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = said; }, 1500);
  });
}
{
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const section = document.querySelector(".over");
  const canvases = [...document.querySelectorAll("canvas.heat")];
  const three = (n) => (n < 9.995 ? n.toFixed(2) : n < 99.95 ? n.toFixed(1) : String(Math.round(n)));
  const count = (n) => Math.round(n).toLocaleString("en-US");

  function duration(ns) {
    if (ns >= 12e10) return Math.floor(ns / 6e10) + "m" + String(Math.round((ns % 6e10) / 1e9)).padStart(2, "0") + "s";
    const [unit, name] = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]].find(([unit]) => ns >= unit * 0.9995) ?? [1, "ns"];
    return three(ns / unit) + " " + name;
  }
  function instant(ns) {
    const [minutes, seconds] = [Math.floor(ns / 6e10), (ns % 6e10) / 1e9];
    return minutes ? minutes + "m" + seconds.toFixed(2).padStart(5, "0") + "s" : seconds.toFixed(2) + " s";
  }
  function written(value, unit, width) {
    if (value === null || value === undefined) return "–";
    switch (unit) {
      case "rate": { const rate = value * 1e9 / width; return (rate === 0 ? "0" : rate < 100 ? three(rate) : count(rate)) + "/s"; }
      case "ns": return duration(value);
      case "ppm": return +(value / 1e4).toFixed(2) + "%";
      case "n": return count(value);
      default: return value;
    }
  }
  function read(reading, at) {
    switch (reading.k) {
      case "bins": return written(reading.v[Math.floor(at / reading.w)], reading.u, reading.w);
      case "steps": {
        let low = 0, high = reading.t.length;
        while (low < high) { const middle = (low + high) >> 1; if (reading.t[middle] <= at) low = middle + 1; else high = middle; }
        return low ? written(reading.v[low - 1], reading.u) : "–";
      }
      case "spans": {
        const now = reading.v.map(([name, spans]) => [name, spans.filter(([from, to]) => from <= at && at < Math.max(to, from + 1)).length]);
        return now.filter(([, n]) => n).map(([name, n]) => (n > 1 ? name + " ×" + n : name)).join(", ") || "none";
      }
      case "heat": {
        const heat = figures.heats[reading.h], bin = heat.bins[Math.floor(at / heat.w)];
        if (!bin || !bin.length) return "none";
        const ended = bin.slice(1).reduce((sum, n) => sum + n, 0);
        return count(ended) + ", below " + duration(heat.from[bin[0] + bin.length - 1]);
      }
    }
  }

  function draw(canvas, ink) {
    const heat = figures.heats[canvas.dataset.heat];
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (!width || !height) return;
    canvas.width = width;
    canvas.height = height;
    const sheet = canvas.getContext("2d");
    sheet.fillStyle = ink ?? getComputedStyle(canvas).color;
    const [low, high] = [Math.log(Math.max(heat.lo, 1)), Math.log(Math.max(heat.hi, 2))];
    const y = (ns) => Math.round(height * (1 - Math.min(1, Math.max(0, (Math.log(Math.max(ns, 1)) - low) / (high - low)))));
    const x = (bin) => Math.round(Math.min(1, bin * heat.w / figures.end) * width);
    let most = 1;
    for (const bin of heat.bins) for (let i = 1; i < bin.length; i++) most = Math.max(most, bin[i]);
    heat.bins.forEach((bin, at) => {
      for (let i = 1; i < bin.length; i++) {
        if (!bin[i]) continue;
        const bucket = bin[0] + i - 1, top = y(heat.from[bucket + 1]);
        sheet.globalAlpha = 0.12 + 0.8 * Math.log1p(bin[i]) / Math.log1p(most);
        sheet.fillRect(x(at), top, Math.max(1, x(at + 1) - x(at)), Math.max(1, y(heat.from[bucket]) - top));
      }
    });
  }
  const redraw = (ink) => canvases.forEach((canvas) => draw(canvas, ink));

  if (section) {
    const cursor = document.getElementById("cursor"), said = document.getElementById("at");
    const shown = [...section.querySelectorAll("[data-r]")];
    const panels = [...section.querySelectorAll(".timed")];
    const finest = Math.min(figures.end / 100, ...figures.readings.filter((r) => r.k === "bins").map((r) => r.w));
    const steps = Math.max(1, Math.min(2000, Math.ceil(figures.end / finest)));
    let wanted = null;
    cursor.max = steps;
    section.classList.add("js");
    section.querySelector(".handle").hidden = false;
    for (const panel of panels) {
      const line = document.createElement("i");
      line.className = "cursor";
      panel.append(line);
    }
    function show() {
      const part = wanted;
      wanted = null;
      const at = Math.min(part * figures.end, figures.end - 1);
      section.classList.add("on");
      section.style.setProperty("--t", part.toFixed(5));
      said.textContent = instant(at);
      for (const mark of shown) {
        const words = read(figures.readings[mark.dataset.r], at);
        if (mark.textContent !== words) mark.textContent = words;
        if (words.length > 12) mark.title = words;
      }
      const faults = figures.readings.filter((r) => r.k === "spans").map((r) => read(r, at)).filter((words) => words !== "none");
      cursor.setAttribute("aria-valuetext", [instant(at), ...faults].join(", "));
    }
    function move(part) {
      if (wanted === null) requestAnimationFrame(show);
      wanted = Math.min(1, Math.max(0, part));
    }
    function point(event) {
      const panel = event.currentTarget, box = panel.getBoundingClientRect(), style = getComputedStyle(panel);
      const percent = (name) => parseFloat(style.getPropertyValue(name)) / 100 * box.width;
      const part = (event.clientX - box.left - percent("--l")) / percent("--w");
      if (part < -0.02 || part > 1.02) return;
      move(part);
      cursor.value = Math.round(Math.min(1, Math.max(0, part)) * steps);
    }
    for (const panel of panels) {
      panel.addEventListener("pointermove", point);
      panel.addEventListener("pointerdown", point);
    }
    cursor.addEventListener("input", () => move(cursor.value / steps));
    for (const button of document.querySelectorAll("button[data-at]")) {
      button.addEventListener("click", () => {
        const part = Number(button.dataset.at) / figures.end;
        cursor.value = Math.round(part * steps);
        move(part);
        section.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
      });
    }
  }
  if (canvases.length) {
    new ResizeObserver(() => redraw()).observe(document.body);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
    addEventListener("beforeprint", () => redraw("#2467a8"));
    addEventListener("afterprint", () => redraw());
    redraw();
  }
}
