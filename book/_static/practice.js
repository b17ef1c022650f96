// Predict boxes: what a box asks about is covered until the reader asks for it. Without this file, and in print,
// nothing is covered.
for (const box of document.querySelectorAll(".predict")) {
  // Outputs down to the next heading or box, and the text between and below them, which says the same in words.
  const covered = [];
  let first = null;
  for (let next = box.nextElementSibling; next; next = next.nextElementSibling) {
    if (next.matches("section, h2, h3, .predict, .quiz, .admonition")) break;
    const output = next.querySelector(":scope > .cell_output");
    if (output) {
      first ??= output;
      covered.push(output);
    } else if (first && !next.matches(".cell")) {
      covered.push(next);
    }
  }
  if (!first) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "uncover";
  button.textContent = "Show what comes out";
  covered.forEach(part => part.classList.add("covered"));
  first.before(button);
  button.addEventListener("click", () => {
    covered.forEach(part => part.classList.remove("covered"));
    dispatchEvent(new Event("resize"));  // the theme makes what scrolls reachable from the keyboard
    first.tabIndex = -1;
    first.focus();
    button.remove();
  });
}

// The first choice of a question counts. A click, or a key that stands for one: print opens all of them, too.
for (const quiz of document.querySelectorAll(".quiz")) {
  for (const choice of quiz.querySelectorAll("details.choice")) {
    choice.querySelector("summary").addEventListener("click", () => {
      quiz.dataset.first ??= choice.matches(".right") ? "right" : "wrong";
      tell();
    });
  }
}

// Below the last question of a page: how many were right at once.
function tell() {
  const quizzes = [...document.querySelectorAll(".quiz")];
  const answered = quizzes.filter(quiz => quiz.dataset.first);
  let note = document.querySelector(".quiz-tally");
  if (!note) {
    note = document.createElement("p");
    note.className = "quiz-tally";
    note.setAttribute("role", "status");
    quizzes.at(-1).after(note);
  }
  const right = answered.filter(quiz => quiz.dataset.first === "right").length;
  note.textContent = `${answered.length} of ${quizzes.length} questions answered, ${right} right at the first choice.`;
}
