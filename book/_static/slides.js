// Keys move from slide to slide, and text is as large as its slide allows.
const slides = [...document.querySelectorAll(".slide")];
const STEPS = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 };

const current = () => {
  const distance = slide => Math.abs(slide.getBoundingClientRect().top + slide.offsetHeight / 2 - innerHeight / 2);
  return slides.reduce((best, slide, k) => (distance(slide) < distance(slides[best]) ? k : best), 0);
};

const show = number => {
  const slide = slides[Math.max(0, Math.min(number, slides.length - 1))];
  slide.scrollIntoView({ block: "center" });
  slide.focus({ preventScroll: true });
  history.replaceState(null, "", "#" + slide.id);
};

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = event.key === " " && event.shiftKey ? -1 : STEPS[event.key];
  if (step) show(current() + step);
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(slides.length - 1);
  else return;
  event.preventDefault();
});

const isFull = slide =>
  [slide, slide.querySelector(".content")].some(e => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1);

const fit = () => {
  for (const slide of slides)
    for (let size = slide.matches(".predict, .text, .formula, .title, .summary") ? 140 : 110; size >= 60; size -= 2) {
      slide.style.setProperty("--fit", size / 100);
      if (!isFull(slide)) break;
    }
  document.body.classList.add("fitted");
};
addEventListener("resize", fit);
addEventListener("load", () => Promise.resolve(window.MathJax?.startup?.promise).then(fit));
