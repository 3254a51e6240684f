package im

// operations is the table: every operation of the core, one line each, in the
// order of PROTOCOL.md. Dispatch over every transport, POST /rpc, the in-process
// Client, the OpenRPC document and the types of the SDK are derived from it.
func operations() []Operation {
	send := define("message.send", needSender, rateWrite, (*server).sendMessage, "Stores a message and answers its receipt once it is durable. A repetition with the same clientId answers the first receipt and stores nothing.")
	send.replay = (*server).replaySend
	create := define("conversation.create", needUser, rateWrite, (*server).createConversation, "Makes a group, or answers the direct conversation with a user, making it if there is none.")
	create.replay = (*server).replayCreate

	return []Operation{
		define("session.open", needNothing, rateHeavy, (*server).openSession, "Opens the session, or renews the credentials of one that is open. Nothing else is answered before it."),
		define("session.close", needSession, rateFree, (*server).closeSession, "Ends the session. The connection closes after the answer."),
		define("session.list", needUser, rateHeavy, (*server).listSessions, "Answers the caller's sessions on all nodes, newest first."),
		define("session.revoke", needUser, rateHeavy, (*server).revokeSessions, "Ends others of the caller's sessions, on all nodes. Their clients do not come back by themselves."),
		define("ping", needUser, rateFree, (*server).ping, "Answers the server's time."),
		define("user.get", needUser, rateRead, (*server).getUsers, "Answers the profiles of people who share a conversation with the caller."),

		send,
		define("message.list", needMember, rateRead, (*server).listMessages, "Answers a page of messages, ascending by seq."),
		define("message.changes", needMember, rateRead, (*server).listChanges, "Answers what changed in a conversation since a rev, ascending by rev: each message once, in its last state."),

		define("sync", needUser, rateHeavy, (*server).sync, "Answers which conversations changed since a cursor, newest first. The only source of cursors."),
		create,
		define("conversation.get", needMember, rateRead, (*server).getConversation, "Answers a conversation as the caller sees it."),
		define("conversation.own", needMember, rateRead, (*server).getOwn, "Answers the caller's own state of a conversation."),
		define("conversation.markers", needMember, rateRead, (*server).listMarkers, "Answers how far the members have come, page by page."),
		define("conversation.mark", needMember, rateWrite, (*server).mark, "Moves the caller's markers forward. They never move back and are clamped to the newest message."),

		define("member.list", needMember, rateRead, (*server).listMembers, "Answers the members, or what changed in the list since a memberRev."),
		define("member.add", needOwner, rateHeavy, (*server).addMembers, "Adds users to a group."),
		define("member.remove", needMember, rateHeavy, (*server).removeMembers, "Removes users from a group: an owner anyone, others themselves. The last owner stays."),
	}
}
