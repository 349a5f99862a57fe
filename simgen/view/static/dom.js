"use strict";
// Elements from plain values (never from markup: captions are other people's text), and words.
const physreel = window.physreel ?? (window.physreel = {});

(() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(node, given, children) {
    for (const [name, value] of Object.entries(given ?? {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "style") for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
      else if (name === "data") Object.assign(node.dataset, value);
      else if (name in node && !(node instanceof SVGElement) && name !== "list") node[name] = value;
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  physreel.el = (tag, given, ...children) => fill(document.createElement(tag), given, children);
  physreel.svg = (tag, given, ...children) => fill(document.createElementNS(SVG, tag), given, children);
  physreel.by = (id) => document.getElementById(id);

  const UNITS = [
    ["_m_s2", "m/s²"], ["_rad_s", "rad/s"], ["_m_s", "m/s"], ["_kg", "kg"], ["_rad", "rad"], ["_deg", "°"],
    ["_hz", "Hz"], ["_px", "px"], ["_ns", "N s"], ["_nm", "N m"], ["_j", "J"], ["_n", "N"], ["_m", "m"], ["_s", "s"],
  ];

  // "margins.flight_s" -> flight, s
  physreel.named = (key) => {
    const last = key.split(".").pop();
    const [ending, unit] = UNITS.find(([end]) => last.endsWith(end)) ?? ["", ""];
    const words = last.slice(0, last.length - ending.length).replaceAll("_", " ");
    return { label: key === "twin.kind" ? "twin" : words, unit };
  };

  physreel.figure = (value, unit = "") => {
    if (value === null || value === undefined) return "–";
    if (typeof value !== "number") return String(value);
    const size = Math.abs(value);
    const text = Number.isInteger(value) && size < 1e15 ? value.toLocaleString("en")
      : size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(1)
        : value.toLocaleString("en", { maximumSignificantDigits: size < 1 ? 2 : 3 });
    return (text + (unit === "°" ? unit : unit && ` ${unit}`)).replace("-", "−");
  };

  physreel.words = (text) => (text === "" ? "none" : String(text).replaceAll("_", " "));
  physreel.seconds = (value) => `${value.toFixed(2)} s`;
  physreel.clamp = (value, low, high) => Math.max(low, Math.min(high, value));
  physreel.still = window.matchMedia("(prefers-reduced-motion: reduce)");
  physreel.rgb = (colour) => `rgb(${colour.map((share) => Math.round(255 * share)).join(" ")})`;
})();
