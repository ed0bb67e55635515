// What is left empty in a form is not asked for. Everything works without this.
"use strict";
for (const form of document.querySelectorAll("form.fields")) {
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  });
}
