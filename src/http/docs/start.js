"use strict";

// Everything is relative to this script, so that the server may stand under any path.
const gate = new URL("..", document.currentScript.src);
const documentUrl = new URL("openapi.json", gate);

// The document names its addresses for clients elsewhere: this page calls the server that it came from.
function atThisServer(spec) {
  spec.servers = [{ url: gate.href.replace(/\/$/, "") }];
  for (const scheme of Object.values(spec.components.securitySchemes)) {
    for (const flow of Object.values(scheme.flows ?? {})) {
      flow.tokenUrl = new URL("auth/login", gate).href;
    }
  }
  return spec;
}

async function start() {
  const response = await fetch(documentUrl);
  window.ui = SwaggerUIBundle({
    dom_id: "#ui",
    spec: atThisServer(await response.json()),
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
  });
}

start().catch((error) => {
  document.getElementById("ui").textContent = `${documentUrl} cannot be loaded: ${error}`;
});
