// Style sheets as text, as the bundler gives them.
declare module "*.css" {
  const text: string;
  export default text;
}
