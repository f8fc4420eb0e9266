// Asks Cedargate whether a request may pass, with one AuthZEN evaluation each. For nginx with njs 0.7.9 or newer.
//
// The subject is who nginx, or the proxy that asks us, has authenticated. The action is the method. The resource is the
// route: the first of these that fits the path as the client sent it, byte by byte. Whatever else could lead to the
// application (`//`, `/../`, `%2e`, `;`) fits none, and is refused without a question.
const ROUTES = [
    [/^\/todos$/, '/todos'],
    [/^\/todos\/[A-Za-z0-9_-]+$/, '/todos/{todoId}'],
    [/^\/users\/[A-Za-z0-9_@-][A-Za-z0-9_.@-]*$/, '/users/{userId}'],
];

function routeOf(uri) {
    const path = uri.split('?')[0];
    const found = ROUTES.find(route => route[0].test(path));
    return found ? found[1] : null;
}

// 204: it may pass. 403: it may not. 503: nobody can say; it must not pass then.
async function answer(r, subject, method, uri) {
    const route = routeOf(uri || '');
    if (!subject || !method || !route) {
        r.return(403);
        return;
    }
    const question = {
        subject: {type: 'identity', id: subject},
        action: {name: method},
        resource: {type: 'route', id: route},
    };
    let status = 503;
    try {
        const reply = await ngx.fetch(r.variables.authzen_evaluation, {
            method: 'POST',
            headers: {
                'Content-Type': 'application/json',
                'X-Api-Key': r.variables.authzen_key,
                'X-Request-ID': r.variables.request_id,
            },
            body: JSON.stringify(question),
        });
        if (reply.status === 200) {
            const decided = await reply.json();
            // Nothing but true permits.
            status = decided.decision === true ? 204 : 403;
        } else {
            r.error(`authzen: status ${reply.status}`);
        }
    } catch (error) {
        r.error(`authzen: ${error.message}`);
    }
    r.return(status);
}

// For auth_request: about the request that nginx itself has.
function own(r) {
    const variables = r.variables;
    return answer(r, variables.remote_user, variables.request_method, variables.request_uri);
}

// For a proxy that tells the request in headers (Caddy, Traefik, APISIX, Kong).
function forwarded(r) {
    const headers = r.headersIn;
    return answer(
        r, headers['X-Authzen-Subject'], headers['X-Forwarded-Method'], headers['X-Forwarded-Uri']
    );
}

// For a proxy that repeats the request below /request (Envoy).
function repeated(r) {
    const uri = r.variables.request_uri.slice('/request'.length);
    return answer(r, r.headersIn['X-Authzen-Subject'], r.method, uri);
}

export default {own, forwarded, repeated};
