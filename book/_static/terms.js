// The first tap on a term shows its sentence, the second follows the link; Esc closes it (WCAG 1.4.13). Without
// this file a tap follows the link.
const boxes = document.querySelectorAll(".term-box");
const close = except => boxes.forEach(box => box !== except && box.classList.remove("open"));
for (const box of boxes) {
  const term = box.querySelector(".term");
  const place = () => {
    box.classList.remove("at-right");
    const right = box.querySelector(".term-note").getBoundingClientRect().right;
    box.classList.toggle("at-right", right > document.documentElement.clientWidth - 8);
  };
  for (const event of ["pointerenter", "focus"]) term.addEventListener(event, place);
  term.addEventListener("click", event => {
    const byTouch = event.pointerType === "touch" || event.pointerType === "pen";
    if (!byTouch || box.classList.contains("open")) return;
    event.preventDefault();
    close(box);
    place();
    box.classList.add("open");
  });
}
document.addEventListener("click", event => { if (!event.target.closest(".term-box")) close(); });
document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  close();
  if (document.activeElement?.matches?.(".term")) document.activeElement.blur();
});
