/** The formats a copy may have. By themselves, as a config is checked without their writers. */
export const formatNames = ['native', 'ocsf', 'cloudevents'] as const;
export type FormatName = (typeof formatNames)[number];
