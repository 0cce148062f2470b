// A real authorization server for tests: npm's oidc-provider with a public native client, PKCE demanded, rotating refresh tokens
// and reuse detection. oidc_provider.py starts it: options come as one JSON argument, commands as JSON lines on stdin, and what
// happens goes out as JSON lines on stdout. The end of stdin ends it, so it cannot outlive the test that started it.
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const options = JSON.parse(process.argv[2] ?? '{}');
const tell = (event) => console.log(JSON.stringify(event));

const page = (ctx, form) => { ctx.body = `<!doctype html><title>Device</title>${form}<button form="op.deviceConfirmForm">Yes</button>`; };

let provider;
let grants = new Set();
let status = 0; // answered to every request instead of the provider's own answer; 0: none
const server = http.createServer((request, response) => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  if (request.url === '/.well-known/oauth-protected-resource/mcp') { // an API beside it, which trusts it (RFC 9728)
    const metadata = { resource: `${issuer}/mcp`, authorization_servers: [issuer], scopes_supported: ['tools'] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(metadata));
  } else if (status === 0) provider.callback()(request, response);
  else response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Out of order</h1>');
});

function listen(port) {
  return new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
}

function build(issuer) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const built = new Provider(issuer, {
    clients: [{
      client_id: 'tray',
      application_type: 'native', // its loopback redirect matches on any port (RFC 8252, 7.3)
      token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    }, ...['client_secret_basic', 'client_secret_post'].map((method) => ({ // the same with a secret that has to be encoded
      client_id: method,
      client_secret: 'a secret: of 50% & more, long enough',
      application_type: 'native',
      token_endpoint_auth_method: method,
      redirect_uris: ['http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      id_token_signed_response_alg: 'ES256',
    }))],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'test' }] },
    cookies: { keys: ['test'] },
    clockTolerance: options.clock_tolerance,
    scopes: ['openid', 'offline_access', 'email'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.test`, email_verified: true }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: {
      AccessToken: options.access_token_ttl, RefreshToken: options.refresh_token_ttl,
      AuthorizationCode: 30, DeviceCode: 300, IdToken: 300, Grant: 3600, Session: 3600, Interaction: 300,
    },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { // pages of its own: for the default ones it prints notices on stdout, among the events
        enabled: true,
        userCodeInputSource: page, userCodeConfirmSource: page, successSource: (ctx) => page(ctx, '<p>Success</p>'),
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'tools', accessTokenTTL: options.access_token_ttl, accessTokenFormat: 'opaque' }),
        useGrantedResource: () => false, // what is not named again in a refresh is not granted again
      },
      // a policy of its own: for the default it prints a notice on stdout, among the events
      revocation: { enabled: true, allowedPolicy: (_, client, token) => client.clientId === token.clientId },
    },
  });
  const grantType = (ctx) => ctx.oidc?.params?.grant_type ?? null;
  built.on('grant.success', (ctx) => {
    grants.add(ctx.oidc.entities.Grant.jti);
    tell({ event: 'grant.success', grant_type: grantType(ctx) });
  });
  built.on('grant.error', (ctx, error) => tell({ event: 'grant.error', grant_type: grantType(ctx), error: error.error, detail: error.error_detail }));
  built.on('authorization.success', () => tell({ event: 'authorization.success' }));
  built.on('authorization.error', (_, error) => tell({ event: 'authorization.error', error: error.error, detail: error.error_detail }));
  built.on('grant.revoked', () => tell({ event: 'grant.revoked' }));
  built.on('revocation.success', () => tell({ event: 'revocation.success' }));
  built.on('server_error', (_, error) => tell({ event: 'server_error', error: error.message }));
  return built;
}

const commands = {
  async revoke() {
    for (const id of grants) {
      await provider.AccessToken.revokeByGrantId(id);
      await provider.RefreshToken.revokeByGrantId(id);
      await (await provider.Grant.find(id))?.destroy();
    }
    grants = new Set();
  },
  async down() {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  },
  up: ({ port }) => listen(port),
  answer({ status: wanted }) { status = wanted; },
};

await listen(options.port);
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;
provider = build(issuer);
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const command = JSON.parse(line);
    await commands[command.do]({ port, ...command });
    tell({ event: 'done', id: command.id });
  })
  .on('close', () => process.exit(0));
tell({ event: 'ready', issuer });
