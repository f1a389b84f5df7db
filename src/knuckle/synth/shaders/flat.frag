#version 330
flat in float value;
uniform float offset;
out vec4 colour;

void main() {
    colour = vec4((value + offset) / 255.0, 0.0, 0.0, 1.0);
}
