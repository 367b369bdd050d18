// Pictures with what is said of them.

// A picture that cannot be had is a word; one pixel is what stands for it in a folder and on the server.
const fill = (picture, number, alt) => {
  const nothing = () => picture.replaceChildren("no picture");
  const address = addressOf(number);
  if (!address) return nothing();
  const image = element("img", { alt, decoding: "async", draggable: false });
  image.addEventListener("error", nothing);
  image.addEventListener("load", () => image.naturalWidth < 2 && nothing());
  image.src = address;
  return picture.replaceChildren(image);
};

const pictureOf = (number, alt = "") => {
  const picture = element("span", { className: "picture" });
  fill(picture, number, alt);
  return picture;
};

// A photo that shows its nearest when it is pressed.
const photoButton = (number, says, className = "") => {
  const key = keyOf(number);
  const name = element("span", { className: "name", title: key }, nameOf(key));
  const button = element("button", { type: "button", className: `photo ${className}` }, pictureOf(number));
  if (says) button.append(element("span", { className: "name says" }, says));
  button.append(name);
  button.setAttribute("aria-label", says ? `${key}, ${says}` : key);
  button.addEventListener("click", () => goTo(number));
  return button;
};

const link = (number, text) =>
  element("a", { href: `originals/${number}`, target: "_blank", rel: "noopener noreferrer" }, text);
