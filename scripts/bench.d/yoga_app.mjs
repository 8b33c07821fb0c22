// The second yardstick: graphql-yoga on Node with the same tables, rules and rows as yardstick_app.py.
// `node yoga_app.mjs PORT`, with YARDSTICK_DATABASE, YARDSTICK_SECRET, YARDSTICK_ADMIN, and BENCH_YOGA for its packages.
import crypto from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(path.join(process.env.BENCH_YOGA, 'index.js'));
const { GraphQLError } = require('graphql');
const { createSchema, createYoga } = require('graphql-yoga');
const jwt = require('jsonwebtoken');

const URL_OF_DATABASE = process.env.YARDSTICK_DATABASE;
const SECRET = crypto.createSecretKey(Buffer.from(process.env.YARDSTICK_SECRET));
const LIFETIME = 7 * 86_400_000;
const hash = (text) => crypto.createHash('sha256').update(text).digest('hex');
const ADMIN = hash(process.env.YARDSTICK_ADMIN);
const newId = () => crypto.randomUUID();

const KNOWN = 'SELECT id, email, origin FROM users WHERE external_id = $1';
const TAKE_SEAT = 'UPDATE seats SET used = used + 1 WHERE used < seat_limit';
const ADD_USER = "INSERT INTO users (id, email, origin, external_id, created_at) VALUES ($1, $2, 'EXTERNAL_JWT', $3, $4)";
const ADD_SESSION = 'INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)';
const VIEWER = 'SELECT u.id, u.email FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = $1 AND s.expires_at > $2';
const COLUMNS = 'SELECT id, email, origin, created_at AS "createdAt" FROM users';
const ORDER = 'ORDER BY created_at DESC, id DESC LIMIT 51';
const PAGE = `${COLUMNS} WHERE created_at <= $1 AND (created_at < $1 OR id < $2) ${ORDER}`;
const SEARCH = `${COLUMNS} WHERE email LIKE $1 ${ORDER}`;
const SEATS = 'SELECT used, seat_limit AS "limit" FROM seats';

class SeatLimit extends Error {}

function onSqlite() {
  const database = new (require('better-sqlite3'))(URL_OF_DATABASE);
  for (const pragma of ['journal_mode=WAL', 'synchronous=NORMAL', 'foreign_keys=ON', 'busy_timeout=5000', 'cache_size=-65536', 'mmap_size=1073741824'])
    database.pragma(pragma);
  const prepare = (text) => database.prepare(text.replace(/\$\d/g, '?'));
  const [known, seat, addUser, addSession, viewer, page, search, seats] = [KNOWN, TAKE_SEAT, ADD_USER, ADD_SESSION, VIEWER, PAGE, SEARCH, SEATS].map(prepare);
  const create = database.transaction((externalId, email, session) => {
    if (seat.run().changes !== 1) throw new SeatLimit();
    const user = { id: newId(), email, origin: 'EXTERNAL_JWT' };
    addUser.run(user.id, email, externalId, session[1]);
    addSession.run(newId(), user.id, ...session);
    return user;
  }).immediate;
  return {
    exchange(externalId, email, session) {
      const user = known.get(externalId);
      if (!user) return create(externalId, email, session);
      addSession.run(newId(), user.id, ...session);
      return user;
    },
    viewer: (token) => viewer.get(token, Date.now()),
    page: (time, id) => page.all(time, time, id), // $1 occurs twice
    search: (text) => search.all(text),
    seats: () => seats.get(),
  };
}

function onPostgres() {
  const pg = require('pg');
  pg.types.setTypeParser(20, Number);
  const pool = new pg.Pool({ connectionString: URL_OF_DATABASE, max: 8, min: 8 });
  const run = async (on, text, values = []) => on.query({ name: hash(text).slice(0, 12), text, values });
  const rows = async (text, values) => (await run(pool, text, values)).rows;
  return {
    async exchange(externalId, email, session) {
      const [user] = await rows(KNOWN, [externalId]);
      if (user) {
        await run(pool, ADD_SESSION, [newId(), user.id, ...session]);
        return user;
      }
      const connection = await pool.connect();
      try {
        await connection.query('BEGIN');
        if ((await run(connection, TAKE_SEAT)).rowCount !== 1) throw new SeatLimit();
        const created = { id: newId(), email, origin: 'EXTERNAL_JWT' };
        await run(connection, ADD_USER, [created.id, email, externalId, session[1]]);
        await run(connection, ADD_SESSION, [newId(), created.id, ...session]);
        await connection.query('COMMIT');
        return created;
      } catch (error) {
        await connection.query('ROLLBACK');
        throw error;
      } finally {
        connection.release();
      }
    },
    viewer: async (token) => (await rows(VIEWER, [token, Date.now()]))[0],
    page: (...values) => rows(PAGE, values),
    search: (text) => rows(SEARCH, [text]),
    seats: async () => (await rows(SEATS))[0],
  };
}

const store = URL_OF_DATABASE.startsWith('postgres') ? onPostgres() : onSqlite();
const written = (milliseconds) => new Date(milliseconds).toISOString();
const refused = (code) => new GraphQLError(code, { extensions: { code } });
const tokenOf = (context) => {
  const header = context.request.headers.get('authorization');
  return header?.startsWith('Bearer ') ? hash(header.slice(7)) : '';
};
const requireAdmin = (context) => {
  if (tokenOf(context) !== ADMIN) throw refused('FORBIDDEN');
};
const cursorOf = (user) => `${user.createdAt},${user.id}`;

const schema = createSchema({
  typeDefs: `
    type User { id: ID! email: String origin: String! createdAt: String! }
    type Session { expiresAt: String! }
    type SessionGrant { token: String! session: Session! user: User! }
    type SignInError { code: String! message: String! }
    union SignInResult = SessionGrant | SignInError
    input UserFilter { origin: String search: String }
    type Edge { cursor: String! node: User! }
    type PageInfo { hasNextPage: Boolean! endCursor: String }
    type Users { edges: [Edge!]! pageInfo: PageInfo! }
    type SeatUsage { used: Int! limit: Int }
    type Query { viewer: User users(first: Int, after: String, filter: UserFilter): Users seatUsage: SeatUsage }
    type Mutation { exchangeExternalAuthCode(externalAuthCode: String!): SignInResult }
  `,
  resolvers: {
    Query: {
      viewer: (_, __, context) => store.viewer(tokenOf(context)),
      async users(_, { after, filter }, context) {
        requireAdmin(context);
        const [time, id] = (after ?? ',').split(',');
        const found = await (filter?.search ? store.search(`%${filter.search}%`) : store.page(Number(time), id));
        const shown = found.slice(0, 50);
        const edges = shown.map((node) => ({ cursor: cursorOf(node), node }));
        return { edges, pageInfo: { hasNextPage: found.length > 50, endCursor: edges.at(-1)?.cursor ?? null } };
      },
      seatUsage(_, __, context) {
        requireAdmin(context);
        return store.seats();
      },
    },
    SignInResult: { __resolveType: (value) => ('token' in value ? 'SessionGrant' : 'SignInError') },
    User: { createdAt: (user) => written(user.createdAt) },
    Mutation: {
      async exchangeExternalAuthCode(_, { externalAuthCode }) {
        let claims;
        try {
          claims = jwt.verify(externalAuthCode, SECRET, { algorithms: ['HS256'] });
          if (!claims.exp) throw new Error('no exp');
        } catch {
          return { code: 'INVALID_CODE', message: 'The code is not valid.' };
        }
        const token = crypto.randomBytes(32).toString('base64url');
        const [now, until] = [Date.now(), Date.now() + LIFETIME];
        const user = await store.exchange(String(claims.user.id), String(claims.user.email), [hash(token), now, until]);
        return { token, session: { expiresAt: written(until) }, user };
      },
    },
  },
});

const yoga = createYoga({ schema, logging: false, graphiql: false, landingPage: false, multipart: false, healthCheckEndpoint: '/readyz' });
const server = http.createServer(yoga);
server.keepAliveTimeout = 60_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
