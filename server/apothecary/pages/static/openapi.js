// Shows the OpenAPI document that the page names.
"use strict";
const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: false, validatorUrl: null });
