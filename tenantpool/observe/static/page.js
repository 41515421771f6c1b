"use strict";
// Keeps the page up to date. Without it every page works, and shows the state of when it was loaded.

(() => {
  const main = document.querySelector("main[data-live]");
  const button = document.getElementById("live");
  if (!main || !button || !window.EventSource) return;

  // -- the page -------------------------------------------------------------------------------

  // Make `old` like `fresh`, and leave alone what is equal: focus, selection and open questions stay.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if ("keep" in old.dataset || old.isEqualNode(fresh)) return;
    attributes(old, fresh);
    children(old, fresh);
  }

  const key = (node) => (node.dataset ? node.dataset.id : undefined);

  function attributes(old, fresh) {
    const stays = (name) => name === "open" && old.localName === "details";
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !stays(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  // What has a key is the same wherever it stands: a row stays itself when rows change places.
  function children(old, fresh) {
    const wanted = [...fresh.childNodes];
    const known = new Map([...old.childNodes].filter(key).map((child) => [key(child), child]));
    const keys = new Set(wanted.map(key));
    for (const [id, child] of known) {
      if (!keys.has(id)) child.remove();
    }
    wanted.forEach((child, index) => {
      const there = old.childNodes[index];
      const same = known.get(key(child));
      if (same) {
        if (same !== there) old.insertBefore(same, there || null);
        morph(same, child);
      } else if (!there || key(child) || key(there)) {
        old.insertBefore(child, there || null);
      } else {
        morph(there, child);
      }
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  }

  // While somebody selects text, nothing moves under it.
  let held = null;
  const isSelecting = () => {
    const selection = getSelection();
    return Boolean(selection) && !selection.isCollapsed && main.contains(selection.anchorNode);
  };
  document.addEventListener("selectionchange", () => {
    if (held !== null && !isSelecting()) show(held);
  });

  function show(html) {
    held = isSelecting() ? html : null;
    if (held !== null) return;
    const parsed = new DOMParser().parseFromString(`<main>${html}</main>`, "text/html");
    const fresh = parsed.body.firstChild;
    const focused = document.activeElement;
    withoutBlanks(main);
    withoutBlanks(fresh);
    children(main, fresh);
    // What was moved to its new place has lost the focus.
    if (focused !== document.activeElement && main.contains(focused)) focused.focus({ preventScroll: true });
  }

  // Between sections and between rows blanks mean nothing, and would shift what is compared.
  function withoutBlanks(root) {
    const parents = new Set([root, ...[...root.querySelectorAll("[data-id]")].map((row) => row.parentNode)]);
    for (const child of [...parents].flatMap((parent) => [...parent.childNodes])) {
      if (child.nodeType === Node.TEXT_NODE && !child.data.trim()) child.remove();
    }
  }

  // -- charts ---------------------------------------------------------------------------------

  const KEPT = 300;
  const points = [];
  const charts = new Map();
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const REASONS = {
    TENANT_LIMIT: "--t0", QUEUE_FULL: "--t1", DATABASE_LIMIT: "--t2", CONNECT_FAILED: "--t3", BREAKER_OPEN: "--t4", RATE_LIMIT: "--t5",
  };

  // A line for each usual reason that there is, in a colour of its own, and one for all others.
  function refusals() {
    const seen = new Set(points.flatMap(({ refused }) => Object.keys(refused).filter((reason) => refused[reason])));
    const others = [...seen].filter((reason) => !(reason in REASONS));
    const lines = Object.entries(REASONS).filter(([reason]) => seen.has(reason)).map(([reason, stroke]) => [
      words(reason), (p) => p.refused[reason] || 0, stroke,
    ]);
    const sum = (p) => others.reduce((total, reason) => total + (p.refused[reason] || 0), 0);
    return others.length ? [...lines, [others.length > 1 ? "other" : words(others[0]), sum, "--muted"]] : lines;
  }

  const words = (reason) => reason.toLowerCase().replaceAll("_", " ");
  const brief = (value) => (value >= 10 || value === 0 ? value.toFixed(0) : value.toPrecision(2));
  const time = (value) =>
    value < 0.001 ? (value ? `${(value * 1e6).toFixed(0)} µs` : "0")
    : value < 1 ? `${brief(value * 1e3)} ms` : `${brief(value)} s`;

  const KINDS = {
    leases: { fill: true, lines: () => [["leases", (p) => p.leases, "--t0"]], format: brief, least: 1 },
    waits: {
      lines: () => [["p50", (p) => p.p50, "--t0"], ["p99", (p) => p.p99, "--t1"]],
      format: time,
      least: 0.001,
    },
    refused: { lines: refusals, format: brief, least: 1 },
    saturation: {
      fill: true,
      lines: () => [["lent", (p) => p.lent, "--t0"], ["open", (p) => p.used, "--t4"]],
      format: (value) => `${Math.round(value * 100)} %`,
      range: [0, 1],
    },
  };

  function draw() {
    if (!window.uPlot || !points.length) return;
    for (const place of main.querySelectorAll("[data-chart]")) {
      const kind = KINDS[place.dataset.chart];
      const lines = kind.lines();
      const last = points[points.length - 1].at;
      const data = [points.map((p) => p.at - last), ...lines.map(([, of]) => points.map(of))];
      const names = lines.map(([name]) => name).join();
      const known = charts.get(place);
      if (known && known.names === names) {
        known.chart.setData(data);
      } else {
        if (known) known.chart.destroy();
        charts.set(place, { names, chart: make(place, kind, lines, data) });
      }
    }
  }

  function make(place, kind, lines, data) {
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const plot = document.createElement("div");
    plot.className = "plot";
    place.replaceChildren(plot, ...(lines.length > 1 ? [legend(lines)] : []));
    const ago = (at) => (at === 0 ? "now" : at % 60 ? `${at} s` : `${at / 60} min`).replace("-", "−");
    const span = (u, low) => [Math.min(low ?? 0, -60), 0];
    const top = (u, low, high) => kind.range || [0, Math.max(high || 0, kind.least) * 1.15];
    sizes.observe(plot);
    return new uPlot({
      width: plot.clientWidth, height: plot.clientHeight,
      legend: { show: false },
      padding: [6, 14, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, sync: { key: "signals" } },
      scales: { x: { time: false, range: span }, y: { range: top } },
      axes: [
        { ...axis, font, size: 22, space: 50, incrs: [15, 30, 60, 120], grid: { show: false }, values: (u, at) => at.map(ago) },
        { ...axis, font, size: 46, space: 28, values: (u, all) => all.map(kind.format) },
      ],
      series: [{}, ...lines.map(([label, , stroke], n) => ({
        label, stroke: color(stroke), width: 1.75, spanGaps: false,
        fill: kind.fill && n === 0 ? `${color(stroke)}22` : undefined, points: { show: false },
      }))],
      hooks: { setCursor: [(u) => tip(place, u, kind, lines)] },
    }, data, plot);
  }

  function legend(lines) {
    const list = document.createElement("ul");
    list.className = "legend key";
    for (const [name, , stroke] of lines) {
      const item = list.appendChild(document.createElement("li"));
      item.appendChild(document.createElement("i")).className = stroke.slice(2);
      item.append(name);
    }
    return list;
  }

  // What the lines say where the pointer is; the charts beside it say theirs of the same moment.
  function tip(place, u, kind, lines) {
    place.querySelector(".tip")?.remove();
    const { idx, left } = u.cursor;
    if (idx == null || left < 0) return;
    const box = u.over.appendChild(document.createElement("div"));
    box.className = "tip";
    const list = box.appendChild(legend(lines));
    list.className = "";
    [...list.children].forEach((item, n) => {
      const value = u.data[n + 1][idx];
      item.appendChild(document.createElement("b")).textContent = value == null ? "–" : kind.format(value);
    });
    const width = box.offsetWidth;
    box.style.left = `${Math.max(0, left + 12 + width > u.over.clientWidth ? left - 12 - width : left + 12)}px`;
  }

  function redraw() {
    for (const { chart } of charts.values()) chart.destroy();
    charts.clear();
    draw();
  }

  const sizes = new ResizeObserver(() => {
    for (const [place, { chart }] of charts) {
      const { clientWidth: width, clientHeight: height } = place.firstChild;
      if (width !== chart.width || height !== chart.height) chart.setSize({ width, height });
    }
  });
  sizes.observe(main);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // -- the stream -----------------------------------------------------------------------------

  let stream = null;

  function state(name) {
    button.dataset.state = name;
    button.setAttribute("aria-pressed", String(name !== "paused"));
    document.getElementById("live-text").textContent = name;
  }

  function begin() {
    const query = new URLSearchParams(location.search);
    query.delete("said");
    query.set("view", decodeURIComponent(location.pathname));
    stream = new EventSource(`/live?${query}`);
    stream.onopen = () => state("live");
    stream.onerror = () => state(stream && stream.readyState === EventSource.CLOSED ? "ended" : "waiting");
    on("page", show);
    on("past", (past) => { points.splice(0, points.length, ...past); draw(); });
    on("point", (point) => {
      points.push(point);
      if (points.length > KEPT) points.shift();
      draw();
    });
    on("end", () => { stop(); location.reload(); });
  }

  const on = (name, act) => stream.addEventListener(name, (event) => act(JSON.parse(event.data)));

  function stop() {
    if (stream) stream.close();
    stream = null;
  }

  function pause() {
    stop();
    state("paused");
  }

  button.hidden = false;
  button.addEventListener("click", () => (stream ? pause() : begin()));
  // A page that nobody sees costs nothing.
  document.addEventListener("visibilitychange", () => {
    if (button.dataset.state === "paused") return;
    if (document.hidden) stop(); else if (!stream) begin();
  });
  begin();
})();
