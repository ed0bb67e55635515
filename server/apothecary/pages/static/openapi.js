// Shows the OpenAPI document that the page names.
"use strict";
const place = document.getElementById("swagger");
// The page has a main part of its own: a second one would be no landmark.
const told = () => { for (const one of place.querySelectorAll("main")) one.setAttribute("role", "none"); };
SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: false, validatorUrl: null, onComplete: told });
