// An extension of the agent with one tool, which asks the user.
export default function (pi) {
  pi.registerTool({
    name: "ask_user",
    label: "Ask",
    description: "Asks the user.",
    parameters: { type: "object", properties: { question: { type: "string" } }, required: ["question"] },
    async execute(_id, params, _signal, _onUpdate, ctx) {
      const yes = await ctx.ui.confirm("Go on?", params.question);
      return { content: [{ type: "text", text: yes ? "The user says yes." : "The user says no." }], details: {} };
    },
  });
}
