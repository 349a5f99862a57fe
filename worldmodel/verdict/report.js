"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const setTheme = (isDark) => { root.dataset.theme = isDark ? "dark" : "light"; };
setTheme(dark.matches);
dark.addEventListener("change", (event) => setTheme(event.matches));
document.getElementById("theme").onclick = () => setTheme(root.dataset.theme !== "dark");

const scrub = document.getElementById("scrub");
const play = document.getElementById("play");
const where = document.getElementById("where");
const views = [...document.querySelectorAll(".view .frame")];

function place(frame, t) {
  const { columns, lines } = data.sprite;
  const x = columns > 1 ? (t % columns) / (columns - 1) : 0;
  const y = lines > 1 ? Math.floor(t / columns) / (lines - 1) : 0;
  frame.style.backgroundPosition = `${100 * x}% ${100 * y}%`;
}

function centres(frame, t) {
  const example = data.examples[frame.dataset.example];
  const truth = example.centre.simulator[t], found = example.centre[frame.dataset.row][t];
  const rings = truth.map((c) => c ? `<circle cx="${c[0]}" cy="${c[1]}" r="2.2"/>` : "");
  const crosses = found.map((c) => c
    ? `<path d="M${c[0] - 1.6} ${c[1]}h3.2M${c[0]} ${c[1] - 1.6}v3.2"/>` : "");
  frame.querySelector("svg").innerHTML = rings.join("") + crosses.join("");
  const both = truth.map((c, i) => c && found[i]
    ? Math.hypot(c[0] - found[i][0], c[1] - found[i][1]) : null).filter((e) => e !== null);
  const missing = truth.filter((c, i) => c && !found[i] && example.scored[t][i]).length;
  const mean = both.length ? both.reduce((a, b) => a + b, 0) / both.length : NaN;
  const words = (both.length ? `${mean.toFixed(mean < 10 ? 2 : 1)} px` : "")
    + (missing ? ` · ${missing} missing` : "");
  frame.parentElement.querySelector("span").textContent = words;
}

function show(t) {
  for (const frame of views) { place(frame, t); centres(frame, t); }
  const ahead = t - data.context + 1;
  where.textContent = ahead <= 0 ? `given frame ${t + 1} of ${data.context}`
    : `predicted frame ${ahead} · ${(ahead / data.rate).toFixed(2)} s`;
}

let timer = null;
function stop() { clearInterval(timer); timer = null; play.textContent = "▶"; }
play.onclick = () => {
  if (timer) { stop(); return; }
  play.textContent = "❚❚";
  let rest = 0;
  timer = setInterval(() => {
    const last = Number(scrub.max), now = Number(scrub.value);
    if (now === last && rest++ < data.rate / 2) return;
    rest = 0;
    scrub.value = now === last ? 0 : now + 1;
    show(Number(scrub.value));
  }, 1000 / Math.min(data.rate, 12));
};
scrub.oninput = () => { stop(); show(Number(scrub.value)); };
document.getElementById("centres").onchange = (event) =>
  document.body.classList.toggle("hide-centres", !event.target.checked);
for (const frame of document.querySelectorAll(".strip .frame")) place(frame, Number(frame.dataset.t));
show(Number(scrub.value));
