// The calling client: the npm package connectycube as published, pointed at this server.
import './websocket';
import ConnectyCube, {CallSessionConnectionState as Connection, CallType} from 'connectycube';
import type {Calls} from 'connectycube';

export const sdk = ConnectyCube;
export {CallType, Connection};
export type Session = Calls.Session;
export type Peer = Session['peerConnections'][number];
export type UserInfo = Calls.UserInfo;
